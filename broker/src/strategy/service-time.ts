/**
 * How long a member takes for one message, from its answers alone.
 *
 * A sample is min(time since it was sent, time since the answer before): while a member has several messages, the time
 * between two answers is what one of them took it, whatever had queued before it; while it has one, its latency is.
 * Answers that come in the same instant share one sample.
 *
 * The estimate is the mean of the last samples, a long one: members differ by what they are, not by the chance of their
 * last messages, and a short mean sends each message to whoever was lucky. So that it is not slow to see a change, two
 * sums watch for one (Page's test, as for exponential times, each sample's weight bounded so that no single message is
 * a change): when the samples of late speak for a member three times as slow, or as fast, the mean begins anew with
 * them. A failure may only worsen it. And a member that makes no progress is expected to need as long as it has been
 * silent, before any answer shows it.
 *
 * @see Page, "Continuous inspection schemes", 1954
 */

/** The first answers of a member pay for connections, compilers and caches. */
export const coldAnswers = 3;
/** Samples in the mean. */
const longestMean = 64;
/** The change that is looked for, as a factor, and the evidence for it that is enough. */
const change = 3;
const evidence = 4;
/** What one sample counts at most, in means. */
const mostOfOne = 4;
/** Silence shorter than this many services is chance. */
const patience = 3;

const logChange = Math.log(change);

/** Evidence that the mean has become another one, and the samples since it began to grow. */
class Drift {
  #evidence = 0;
  #samples = 0;
  #sumMs = 0;

  /** @returns the new mean when the evidence is enough */
  add(gain: number, sampleMs: number, samples: number): { meanMs: number; samples: number } | undefined {
    this.#evidence += gain;
    if (this.#evidence <= 0) {
      this.reset();
      return undefined;
    }
    this.#samples += samples;
    this.#sumMs += sampleMs * samples;
    if (this.#evidence < evidence) return undefined;
    return { meanMs: this.#sumMs / this.#samples, samples: this.#samples };
  }

  reset(): void {
    this.#evidence = 0;
    this.#samples = 0;
    this.#sumMs = 0;
  }
}

export class ServiceTime {
  #estimateMs: number | undefined;
  #samples = 0;
  /** Answers still to come that tell how cold a newcomer is rather than how fast: only the last of them counts. */
  #cold = coldAnswers;
  readonly #slower = new Drift();
  readonly #faster = new Drift();
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
    if (oldestSentAtMs === undefined || estimateMs === undefined) return estimateMs;
    const silentMs = nowMs - Math.max(oldestSentAtMs, this.#lastAnswerAtMs);
    return Math.max(estimateMs, silentMs - patience * estimateMs);
  }

  #fold(): void {
    const answers = this.#answers;
    if (answers === 0) return;
    const sampleMs = Math.min(this.#latencyMs, this.#gapMs) / answers;
    this.#answers = 0;
    this.#latencyMs = 0;
    this.#take(Math.max(0, sampleMs), answers);
  }

  #take(sampleMs: number, samples: number): void {
    const meanMs = this.#estimateMs;
    const cold = this.#cold > 0;
    this.#cold = Math.max(0, this.#cold - samples);
    if (meanMs === undefined || cold) return this.#begin(sampleMs, samples);
    const means = Math.min(mostOfOne, sampleMs / Math.max(meanMs, Number.MIN_VALUE));
    const slower = this.#slower.add(means * (1 - 1 / change) - logChange, sampleMs, samples);
    const faster = this.#faster.add(logChange - means * (change - 1), sampleMs, samples);
    const changed = slower ?? faster;
    if (changed !== undefined) return this.#begin(changed.meanMs, changed.samples);
    this.#samples = Math.min(longestMean, this.#samples + samples);
    this.#estimateMs = meanMs + (sampleMs - meanMs) * Math.min(1, samples / this.#samples);
  }

  #begin(meanMs: number, samples: number): void {
    this.#estimateMs = meanMs;
    this.#samples = Math.min(longestMean, samples);
    this.#slower.reset();
    this.#faster.reset();
  }
}
