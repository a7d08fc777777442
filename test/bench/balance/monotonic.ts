/** Monotonic microseconds of the whole machine, to compare between its processes and threads. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint()) / 1_000;
}

/** How much later than asked a sleeping thread goes on, typically: the timer's slack and the way back to a core. */
const wakeUpMs = 0.08;
const never = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread without burning CPU until a time, give or take a tenth of a millisecond, but not for long. */
export function sleepUntil(timeUs: number, longestMs = Number.POSITIVE_INFINITY): void {
  const leftMs = Math.min((timeUs - monotonicUs()) / 1_000 - wakeUpMs, longestMs);
  if (leftMs > 0) Atomics.wait(never, 0, 0, leftMs);
}
