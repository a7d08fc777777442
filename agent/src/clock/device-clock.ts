/** What the agent knows about its own clock. Nothing is ordered or timed by the wall clock; here it is judged. */
import type { AgentHeartbeat, Clock, Logger, VenueTrade } from "@equipoise/shared";
import { Skew } from "./skew.ts";
import { type Run, Synchronisation } from "./synchronisation.ts";

/** A difference of this size between two looks is a step, not drift. */
const stepMs = 500;

export class DeviceClock {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #skew = new Skew();
  readonly #synchronisation: Synchronisation;
  /** Wall clock less monotonic clock, at the last look. */
  #differenceMs: number;
  #steps = 0;

  constructor(clock: Clock, logger: Logger, run?: Run) {
    this.#clock = clock;
    this.#logger = logger;
    this.#synchronisation = new Synchronisation(clock, logger, run);
    this.#differenceMs = clock.wallMs() - clock.monotonicMs();
  }

  observe({ venue, exchangeTimeUs, receivedTimeUs }: VenueTrade): void {
    this.#skew.observe(venue, exchangeTimeUs, receivedTimeUs, this.#clock.monotonicMs());
  }

  report(): AgentHeartbeat["clock"] {
    this.#lookForStep();
    const nowMs = this.#clock.monotonicMs();
    return {
      monotonicMs: Math.round(nowMs),
      ...this.#synchronisation.state,
      steps: this.#steps,
      venues: this.#skew.estimates(nowMs),
    };
  }

  #lookForStep(): void {
    const differenceMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    const byMs = differenceMs - this.#differenceMs;
    this.#differenceMs = differenceMs;
    if (Math.abs(byMs) < stepMs) return;
    this.#steps += 1;
    this.#skew.forget();
    this.#logger.warn({ event: "clockStepped", byMs: Math.round(byMs) }, "the wall clock was set");
  }
}
