/**
 * One turn of the event loop: everything that its sockets brought is gathered, then worked on once, in a fixed order of
 * steps. So a turn makes one chunk for the journal, one round through each pool and one write per socket.
 */
import type { Clock } from "@equipoise/shared";

export class Turn {
  readonly #clock: Clock;
  readonly #steps: (() => void)[] = [];
  #requested = false;
  #nowMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nowMs = clock.monotonicMs();
  }

  /** Monotonic milliseconds, read once per event: cheap enough for every message. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Reads the clock; for the beginning of an event. */
  begin(): void {
    this.#nowMs = this.#clock.monotonicMs();
  }

  /** Adds a step behind those already there. */
  addStep(step: () => void): void {
    this.#steps.push(step);
  }

  /** The steps will run once more, when the events at hand have been read. */
  request(): void {
    if (this.#requested) return;
    this.#requested = true;
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    this.#requested = false;
    this.begin();
    for (const step of this.#steps) step();
  };
}
