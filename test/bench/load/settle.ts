import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 5;

/**
 * Waits until `arrived` has reached `expected`.
 * @param patienceMs what has not moved for so long will not come
 */
export async function settle(
  arrived: () => number,
  expected: () => number,
  patienceMs = 5_000,
): Promise<void> {
  let last = arrived();
  let movedAtMs = performance.now();
  while (arrived() < expected() && performance.now() - movedAtMs < patienceMs) {
    await sleep(pollMs);
    if (arrived() === last) continue;
    last = arrived();
    movedAtMs = performance.now();
  }
}
