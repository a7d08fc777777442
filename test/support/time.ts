/** Waiting in tests: for something that can be seen, or, where nothing can, for a while. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const lookEveryMs = 5;

/**
 * Resolves when the condition holds, with how many milliseconds that took.
 * @param waitMs infinite where how long it may take depends on a long run's settings
 * @throws Error when it still does not hold after `waitMs`
 */
export async function until(holds: () => boolean | Promise<boolean>, waitMs = 60_000): Promise<number> {
  const beganMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - beganMs > waitMs) throw new Error(`not so within ${waitMs} ms: ${holds}`);
    await pause(lookEveryMs);
  }
  return Math.round(performance.now() - beganMs);
}

/**
 * The shortest of up to three times, the others only taken while it is not below its bound: what the product takes, and
 * not what a machine adds that had no time for it for a moment.
 */
export async function shortest(boundMs: number, takeMs: () => Promise<number>): Promise<number> {
  let shortestMs = await takeMs();
  for (let more = 2; more > 0 && shortestMs >= boundMs; more -= 1)
    shortestMs = Math.min(shortestMs, await takeMs());
  return shortestMs;
}
