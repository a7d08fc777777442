/**
 * How many unacknowledged messages a member may hold: enough that it never waits for the broker, and so few that
 * nothing waits in it that another member could have begun.
 *
 * The limit follows the acknowledgement latency towards a target: the shortest latency seen of late plus a small time
 * of standing work. A member that answers sooner gets more credit, one that answers later gets less; what it is
 * granted is therefore its own rate times that time, whatever its speed or its distance.
 *
 * A round's latency is the median of samples: a client that sends with Nagle's algorithm now and then answers 40 ms
 * late, and judged by the mean it would lose its credit, which makes such answers more frequent.
 */
export interface CreditLimits {
  initial: number;
  min: number;
  max: number;
  /** Work that a member should have at hand, in milliseconds of its own speed. */
  standingWorkMs: number;
}

/**
 * Smaller excesses are left alone. An acknowledgement that is not answered by a message is what makes Nagle's algorithm
 * wait, so a limit that swings between two values would stop the member for 40 ms at each swing.
 */
const shrinkBelow = 0.7;

/** Samples of a round that its median is taken of. */
const maxSamples = 31;
/** A round has at least as many: the median of two is no better than their mean. */
const fewestSamples = 5;

export const defaultCreditLimits: CreditLimits = { initial: 16, min: 2, max: 4_096, standingWorkMs: 4 };

/**
 * A member that always has work at hand never shows its shortest latency. So when none as short has been seen for this
 * long, it is measured anew: for one round the member gets the least credit.
 */
const remeasureAfterMs = 15_000;
/** A latency this close to the shortest one confirms it. */
const asShort = 1.1;

export class Credits {
  readonly #limits: CreditLimits;
  #limit: number;
  /** What the member itself says it wants at most. */
  #declared = Number.POSITIVE_INFINITY;
  #shortestMs = Number.POSITIVE_INFINITY;
  #confirmedAtMs = 0;
  /** Measuring anew: the shortest latency of this round so far, and how many answers it still takes. */
  #measuring: { shortestMs: number; left: number } | undefined;
  #roundAcks = 0;
  readonly #samplesMs: number[] = [];
  /** The limit was reached in this round: without that, a short latency says nothing about more credit. */
  #used = false;

  constructor(limits: CreditLimits = defaultCreditLimits) {
    this.#limits = limits;
    this.#limit = limits.initial;
  }

  /** Messages, at least 1. */
  get limit(): number {
    const limit = this.#measuring === undefined ? Math.floor(this.#limit) : this.#limits.min;
    return Math.max(1, Math.min(limit, this.#declared));
  }

  declare(limit: number | undefined): void {
    this.#declared = limit ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Notes an acknowledgement.
   * @param inFlight how many were held when it came, itself included
   * @param nowMs monotonic
   */
  acknowledged(latencyMs: number, inFlight: number, nowMs: number): void {
    if (this.#measuring !== undefined) return this.#measure(this.#measuring, latencyMs, inFlight, nowMs);
    if (latencyMs <= this.#shortestMs * asShort) this.#confirmedAtMs = nowMs;
    this.#shortestMs = Math.min(this.#shortestMs, latencyMs);
    if (inFlight >= this.limit) this.#used = true;
    this.#roundAcks++;
    if (this.#samplesMs.length < maxSamples) this.#samplesMs.push(latencyMs);
    // A round is one full window, so each change is judged by messages that were sent under it.
    if (this.#roundAcks < Math.max(this.limit, fewestSamples)) return;
    this.#endRound();
    if (nowMs - this.#confirmedAtMs > remeasureAfterMs) {
      this.#measuring = { shortestMs: Number.POSITIVE_INFINITY, left: fewestSamples };
    }
  }

  #measure(
    measuring: { shortestMs: number; left: number },
    latencyMs: number,
    inFlight: number,
    nowMs: number,
  ): void {
    // What was sent under the larger limit says nothing yet.
    if (inFlight > this.#limits.min) return;
    measuring.shortestMs = Math.min(measuring.shortestMs, latencyMs);
    if (--measuring.left > 0) return;
    this.#shortestMs = measuring.shortestMs;
    this.#confirmedAtMs = nowMs;
    this.#measuring = undefined;
  }

  #endRound(): void {
    const samples = this.#samplesMs.sort((a, b) => a - b);
    const typicalMs = samples[samples.length >> 1] ?? 0;
    const targetMs = this.#shortestMs + this.#limits.standingWorkMs;
    const change = Math.min(2, Math.max(0.5, targetMs / Math.max(typicalMs, 0.001)));
    if ((this.#used && change > 1) || change < shrinkBelow) {
      const next = this.#limit * (1 + (change - 1) / 2);
      this.#limit = Math.min(this.#limits.max, Math.max(this.#limits.min, next));
    }
    this.#roundAcks = 0;
    this.#samplesMs.length = 0;
    this.#used = false;
  }
}
