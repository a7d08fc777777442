/**
 * How many unacknowledged messages a member may hold: enough that it never waits for the broker, and so few that
 * nothing waits in it that another member could have begun.
 *
 * The limit follows the acknowledgement latency towards a target: the shortest latency seen of late plus a small time
 * of standing work. A member that answers sooner gets more credit, one that answers later gets less; what it is
 * granted is therefore its own rate times that time, whatever its speed or its distance.
 */
export interface CreditLimits {
  initial: number;
  min: number;
  max: number;
  /** Work that a member should have at hand, in milliseconds of its own speed. */
  standingWorkMs: number;
}

export const defaultCreditLimits: CreditLimits = { initial: 16, min: 2, max: 4_096, standingWorkMs: 4 };

/** The shortest latency is forgotten in steps, so that a longer path is learnt. */
const forgetPerRound = 1.01;

export class Credits {
  readonly #limits: CreditLimits;
  #limit: number;
  /** What the member itself says it wants at most. */
  #declared = Number.POSITIVE_INFINITY;
  #shortestMs = Number.POSITIVE_INFINITY;
  #roundAcks = 0;
  #roundMs = 0;
  /** The limit was reached in this round: without that, a short latency says nothing about more credit. */
  #used = false;

  constructor(limits: CreditLimits = defaultCreditLimits) {
    this.#limits = limits;
    this.#limit = limits.initial;
  }

  /** Messages, at least 1. */
  get limit(): number {
    return Math.max(1, Math.min(Math.floor(this.#limit), this.#declared));
  }

  declare(limit: number | undefined): void {
    this.#declared = limit ?? Number.POSITIVE_INFINITY;
  }

  /** Notes an acknowledgement. @param inFlight how many were held when it came, itself included */
  acknowledged(latencyMs: number, inFlight: number): void {
    this.#shortestMs = Math.min(this.#shortestMs, latencyMs);
    if (inFlight >= this.limit) this.#used = true;
    this.#roundAcks++;
    this.#roundMs += latencyMs;
    // A round is one full window, so each change is judged by messages that were sent under it.
    if (this.#roundAcks >= this.limit) this.#endRound();
  }

  #endRound(): void {
    const meanMs = this.#roundMs / this.#roundAcks;
    const targetMs = this.#shortestMs + this.#limits.standingWorkMs;
    const change = Math.min(2, Math.max(0.5, targetMs / Math.max(meanMs, 0.001)));
    if (this.#used || change < 1) {
      const next = this.#limit * (1 + (change - 1) / 2);
      this.#limit = Math.min(this.#limits.max, Math.max(this.#limits.min, next));
    }
    this.#shortestMs = Math.min(this.#shortestMs * forgetPerRound, meanMs);
    this.#roundAcks = 0;
    this.#roundMs = 0;
    this.#used = false;
  }
}
