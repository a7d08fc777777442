const firstDelayMs = 200;
const maxDelayMs = 10_000;

/** How long to wait before the next attempt, in ms: doubles per round, half of it random so that clients spread out. */
export function backoffMs(round: number, random: () => number): number {
  const delayMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(round, 16));
  return Math.round((delayMs * (1 + random())) / 2);
}
