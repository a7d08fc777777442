/**
 * How far this device's wall clock may be ahead of a venue's: the least difference between arrival and the venue's own
 * time of the trade. Every trade is under way for some time, so the least difference is the most honest one; what is
 * left of it beyond the shortest way is the clocks' difference. A negative one proves that this clock is behind.
 */

/** The least is taken over the last one to two of these. */
const windowMs = 30_000;
/** A feed handler with names of its own must not make it grow. */
const maxVenues = 64;

interface Window {
  sinceMs: number;
  leastUs: number;
  /** Of the window before; Infinity without one. */
  beforeUs: number;
}

export class Skew {
  readonly #windows = new Map<string, Window>();

  /** @param nowMs monotonic */
  observe(venue: string, exchangeTimeUs: number, receivedTimeUs: number, nowMs: number): void {
    const differenceUs = receivedTimeUs - exchangeTimeUs;
    const window = this.#windows.get(venue);
    if (window === undefined) {
      if (this.#windows.size >= maxVenues) return;
      this.#windows.set(venue, { sinceMs: nowMs, leastUs: differenceUs, beforeUs: Number.POSITIVE_INFINITY });
      return;
    }
    if (nowMs - window.sinceMs >= windowMs) {
      const isNext = nowMs - window.sinceMs < 2 * windowMs;
      window.beforeUs = isNext ? window.leastUs : Number.POSITIVE_INFINITY;
      window.sinceMs = nowMs;
      window.leastUs = differenceUs;
    } else if (differenceUs < window.leastUs) window.leastUs = differenceUs;
  }

  /** The wall clock has stepped: what was seen before says nothing any more. */
  forget(): void {
    this.#windows.clear();
  }

  /** In milliseconds with fraction, by venue; those that have traded lately. */
  estimates(nowMs: number): { venue: string; skewMs: number }[] {
    return [...this.#windows].flatMap(([venue, { sinceMs, leastUs, beforeUs }]) =>
      nowMs - sinceMs > 2 * windowMs ? [] : [{ venue, skewMs: Math.min(leastUs, beforeUs) / 1_000 }],
    );
  }
}
