/**
 * When a consumer with several brokers leaves the one that it is connected to: soon when that one says that it is about
 * to end, and after a while when it has lost the cluster's engine, because then it has nothing to deliver. Each consumer
 * takes its own time, so that not all of them arrive elsewhere at once.
 */
import type { Clock } from "../clock.ts";
import type { BrokerLoad } from "../flow.ts";

const leaveWithinMs = 1_000;
/** An engine that fails over is back by then. */
const troubledAfterMs = 5_000;
const leaveTroubledWithinMs = 10_000;

export interface DepartureOptions {
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Called once. */
  leave: (reason: string) => void;
}

export class Departure {
  readonly #options: DepartureOptions;
  /** What it is about to leave for. */
  #reason: "leaving" | "degraded" | undefined;
  #cancel = (): void => {};

  constructor(options: DepartureOptions) {
    this.#options = options;
  }

  /** The own broker has told its load. */
  heard({ leaving, cluster, welcome }: BrokerLoad): void {
    const { random } = this.#options;
    if (leaving) this.#schedule("leaving", random() * leaveWithinMs);
    else if (cluster && welcome === "refuses")
      this.#schedule("degraded", troubledAfterMs + random() * leaveTroubledWithinMs);
    else this.stop();
  }

  /** It stays, or has left. */
  stop(): void {
    this.#cancel();
    this.#reason = undefined;
  }

  #schedule(reason: "leaving" | "degraded", delayMs: number): void {
    if (this.#reason === reason) return;
    this.#cancel();
    this.#reason = reason;
    this.#cancel = this.#options.clock.after(delayMs, () => this.#options.leave(`the broker is ${reason}`));
  }
}
