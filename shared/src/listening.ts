import type { Clock } from "./clock.ts";

/** Who looks so much later than it meant to was held up itself, and may have what it waits for without having read it. */
const heldUpMs = 100;
const readingMs = 50;

/**
 * Calls back after `delayMs` in which others could be heard: a process that stood still reads for a moment first.
 * @returns cancels
 */
export function afterListening(clock: Clock, delayMs: number, callback: () => void): () => void {
  const dueMs = clock.monotonicMs() + delayMs;
  let cancel = clock.after(delayMs, () => {
    if (clock.monotonicMs() - dueMs <= heldUpMs) return callback();
    cancel = clock.after(readingMs, callback);
  });
  return () => cancel();
}
