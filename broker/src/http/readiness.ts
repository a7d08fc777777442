/** Whether the broker takes messages, and if not, why. */
import type { Clock } from "@equipoise/shared";

/**
 * A failed commit makes the broker unready until a commit succeeds, but not for longer: without messages there is no
 * commit, and an unready broker may be sent none.
 */
const failureHoldsMs = 10_000;

export class Readiness {
  readonly #clock: Clock;
  /** Successful commits so far. */
  readonly #commits: () => number;
  /** The cluster's engine is away. */
  readonly #degraded: () => boolean;
  #listening: "starting" | "listening" | "stopping" = "starting";
  #failure: { reason: string; atMs: number; commits: number } | undefined;

  constructor(clock: Clock, commits: () => number, degraded: () => boolean = () => false) {
    this.#clock = clock;
    this.#commits = commits;
    this.#degraded = degraded;
  }

  listening(): void {
    this.#listening = "listening";
  }

  stopping(): void {
    this.#listening = "stopping";
  }

  /** The journal has refused to store something. */
  storeFailed(reason: string): void {
    this.#failure = { reason, atMs: this.#clock.monotonicMs(), commits: this.#commits() };
  }

  /** `undefined` when it is ready. */
  unreadyReason(): string | undefined {
    if (this.#listening !== "listening") return `the broker is ${this.#listening}`;
    if (this.#degraded()) return "the cluster's engine is away";
    const failure = this.#failure;
    if (failure === undefined) return undefined;
    const over = this.#clock.monotonicMs() - failure.atMs > failureHoldsMs;
    if (!over && this.#commits() === failure.commits) return `the journal fails: ${failure.reason}`;
    this.#failure = undefined;
    return undefined;
  }
}
