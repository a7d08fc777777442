import type { Clock } from "@equipoise/shared";

/** So many checks are left out in a row at most: where every one is late, late ones must do. */
const maxLeftOut = 10;

/**
 * Checks regularly for how long others have been silent. A check that comes after a pause of ours is left out: what they
 * have said meanwhile has not been read yet, so their silence may be ours.
 * @returns cancels
 */
export function everyUnlessLate(clock: Clock, periodMs: number, check: () => void): () => void {
  let lastMs = clock.monotonicMs();
  let leftOut = 0;
  return clock.every(periodMs, () => {
    const nowMs = clock.monotonicMs();
    leftOut = nowMs - lastMs > 2 * periodMs && leftOut < maxLeftOut ? leftOut + 1 : 0;
    lastMs = nowMs;
    if (leftOut === 0) check();
  });
}
