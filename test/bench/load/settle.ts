import { setTimeout as sleep } from "node:timers/promises";

/** What has not moved for so long will not come. */
const patienceMs = 5_000;
const pollMs = 5;

/** Waits until `arrived` has reached `expected`, or has not grown for five seconds. */
export async function settle(arrived: () => number, expected: () => number): Promise<void> {
  let last = arrived();
  let movedAtMs = performance.now();
  while (arrived() < expected() && performance.now() - movedAtMs < patienceMs) {
    await sleep(pollMs);
    if (arrived() === last) continue;
    last = arrived();
    movedAtMs = performance.now();
  }
}
