/** How a source's connection to its venue is, for those who watch the agent. */
import type { Clock } from "@equipoise/shared";
import type { ConnectionStatus } from "../source.ts";

export class Link {
  readonly #clock: Clock;
  #connected = false;
  #sinceMs: number;
  #reason: string | null = null;
  #tickedMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  /** The venue has answered. */
  up(): void {
    if (!this.#connected) this.#sinceMs = this.#clock.monotonicMs();
    this.#connected = true;
    this.#reason = null;
  }

  /** There is no connection, or still none. */
  down(reason: string): void {
    if (this.#connected) this.#sinceMs = this.#clock.monotonicMs();
    this.#connected = false;
    this.#reason = reason;
  }

  /** A tick has come. */
  ticked(): void {
    this.#tickedMs = this.#clock.monotonicMs();
  }

  /** @param missing symbols that no connection has; without one that goes without saying */
  status(missing: readonly string[]): ConnectionStatus {
    const nowMs = this.#clock.monotonicMs();
    return {
      connected: this.#connected,
      forMs: Math.round(nowMs - this.#sinceMs),
      reason: this.#reason,
      lastTickAgeMs: this.#tickedMs === undefined ? null : Math.round(nowMs - this.#tickedMs),
      missing: this.#connected ? [...missing] : [],
    };
  }
}
