/** How late the event loop comes to what is due. */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** Shorter delays are the timer's own; a finer one costs measurable CPU time in an idle process. */
const resolutionMs = 20;

export class EventLoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: resolutionMs });

  start(): void {
    this.#histogram.enable();
  }

  stop(): void {
    this.#histogram.disable();
  }

  /** A quantile since the last `reset`, from 0 to 1; 0 when nothing was measured. */
  quantileMs(quantile: number): number {
    if (this.#histogram.count === 0) return 0;
    // The histogram holds whole periods of its own timer.
    return Math.max(0, this.#histogram.percentile(quantile * 100) / 1e6 - resolutionMs);
  }

  reset(): void {
    this.#histogram.reset();
  }
}
