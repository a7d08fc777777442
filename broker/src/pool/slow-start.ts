/**
 * The credit of a member that joins while others carry the load: it grows by the same steps all the time, so that a
 * newcomer is known before it holds much. Without others it begins in full.
 */

/** Messages at the beginning. */
const firstCredit = 2;
const durationMs = 10_000;

export class SlowStart {
  readonly #beganMs: number;
  #to: number | undefined;

  /** @param to the others' usual credit; `undefined` when there are none */
  constructor(to: number | undefined, nowMs: number) {
    this.#to = to;
    this.#beganMs = nowMs;
  }

  /** It is over, or there was none. */
  over(nowMs: number): boolean {
    if (this.#to !== undefined && nowMs - this.#beganMs >= durationMs) this.#to = undefined;
    return this.ended;
  }

  /** It was found to be over: asked for with every message, it needs no clock. */
  get ended(): boolean {
    return this.#to === undefined;
  }

  /** The most messages that the member may hold. */
  limit(nowMs: number): number {
    if (this.over(nowMs)) return Number.POSITIVE_INFINITY;
    const share = (nowMs - this.#beganMs) / durationMs;
    return Math.floor(firstCredit + Math.max(0, (this.#to ?? 0) - firstCredit) * share);
  }
}
