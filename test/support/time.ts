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
