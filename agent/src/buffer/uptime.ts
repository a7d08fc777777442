/**
 * Time that the agent has run, over all its runs. It never steps, as the wall clock may, and never begins anew, as the
 * monotonic clock does; while the device is off it stands still.
 */
import type { Clock } from "@equipoise/shared";

export class Uptime {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #beforeMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.monotonicMs();
  }

  /** Continues from what was persisted last. */
  continue(beforeMs: number): void {
    this.#beforeMs = beforeMs;
  }

  /** In milliseconds. */
  nowMs(): number {
    return this.#beforeMs + this.#clock.monotonicMs() - this.#startedAtMs;
  }
}
