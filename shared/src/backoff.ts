/** When to try again: exponential, with full jitter so that clients do not come back all at once. */

const firstCeilingMs = 250;

/**
 * @param round how many attempts, or rounds of them, were in vain
 * @param maxMs longest pause
 * @param random uniform in [0, 1)
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(round: number, maxMs: number, random: () => number): number {
  const ceilingMs = Math.min(maxMs, firstCeilingMs * 2 ** Math.min(round, 30));
  return Math.round(random() * ceilingMs);
}
