/**
 * How long a member takes for one message, from its answers alone.
 *
 * A sample is min(time since it was sent, time since the answer before): while a member has several messages, the time
 * between two answers is what one of them took it, whatever had queued before it; while it has one, its latency is.
 * Answers that come in the same instant share one sample.
 *
 * The estimate follows a bad sample at once, half of the way, and a good one slowly, as Finagle's peak EWMA does; a
 * failure may only worsen it. A member that makes no progress is expected to need as long as it has been silent,
 * before any answer shows it.
 *
 * @see https://github.com/twitter/finagle (PeakEwma)
 */

/** Weight of one sample near the estimate. */
const share = 0.1;
/** A sample this many times the estimate is a bad one. */
const badFactor = 4;
const badShare = 0.3;
/** Silence shorter than this many services is chance. */
const patience = 3;

export class ServiceTime {
  #estimateMs: number | undefined;
  #lastAnswerAtMs = Number.NEGATIVE_INFINITY;
  /** Answers of one instant that are not in the estimate yet. */
  #answers = 0;
  #latencyMs = 0;
  #gapMs = 0;

  /** Notes a successful answer. */
  acknowledged(latencyMs: number, nowMs: number): void {
    if (this.#answers > 0 && nowMs > this.#lastAnswerAtMs) this.#fold();
    if (this.#answers === 0) this.#gapMs = nowMs - this.#lastAnswerAtMs;
    this.#latencyMs = Math.max(this.#latencyMs, latencyMs);
    this.#answers++;
    this.#lastAnswerAtMs = nowMs;
  }

  /** Notes a failed message; how quickly a member fails says nothing good of it. */
  failed(latencyMs: number, nowMs: number): void {
    this.#fold();
    const sampleMs = Math.min(latencyMs, nowMs - this.#lastAnswerAtMs);
    this.#lastAnswerAtMs = nowMs;
    if (this.#estimateMs !== undefined && sampleMs > this.#estimateMs) this.#take(sampleMs, 1);
  }

  /** In milliseconds, from answers only; `undefined` before the first. */
  get estimateMs(): number | undefined {
    this.#fold();
    return this.#estimateMs;
  }

  /**
   * What is to be expected of it now.
   * @param oldestSentAtMs of what it holds, monotonic; `undefined` when it holds nothing
   */
  expectedMs(nowMs: number, oldestSentAtMs: number | undefined): number | undefined {
    const estimateMs = this.estimateMs;
    if (oldestSentAtMs === undefined) return estimateMs;
    const silentMs = nowMs - Math.max(oldestSentAtMs, this.#lastAnswerAtMs);
    if (estimateMs === undefined) return undefined;
    return Math.max(estimateMs, silentMs - patience * estimateMs);
  }

  #fold(): void {
    if (this.#answers === 0) return;
    const sampleMs = Math.min(this.#latencyMs, this.#gapMs) / this.#answers;
    const answers = this.#answers;
    this.#answers = 0;
    this.#latencyMs = 0;
    this.#take(Math.max(0, sampleMs), answers);
  }

  #take(sampleMs: number, answers: number): void {
    const beforeMs = this.#estimateMs;
    if (beforeMs === undefined) {
      this.#estimateMs = sampleMs;
      return;
    }
    const one = sampleMs > badFactor * beforeMs ? badShare : share;
    const all = answers === 1 ? one : 1 - (1 - one) ** answers;
    this.#estimateMs = beforeMs + (sampleMs - beforeMs) * all;
  }
}
