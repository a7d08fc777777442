/** How far the agent is, from time to time while something moves, and the count at the end. */
import type { Clock, Logger } from "@equipoise/shared";

export interface Counts {
  read: number;
  skipped: number;
  /** Gap records; they are among the buffered. */
  gaps: number;
  buffered: number;
  published: number;
  repeated: number;
  acknowledged: number;
  /** In the buffer and not yet acknowledged. */
  waiting: number;
}

export interface ProgressOptions {
  periodMs: number;
  clock: Clock;
  logger: Logger;
  count: () => Counts;
  /** How much of the files is read, 0 to 1; null without files. */
  done: () => number | null;
}

export class Progress {
  readonly #options: ProgressOptions;
  #cancel: (() => void) | undefined;
  #startedAtMs = 0;
  #last = { timeMs: 0, acknowledged: 0 };
  /** What the last line said. */
  #said = "";

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, periodMs } = this.#options;
    this.#startedAtMs = clock.monotonicMs();
    this.#last = { timeMs: this.#startedAtMs, acknowledged: 0 };
    this.#said = this.#state(0);
    this.#cancel = clock.every(periodMs, () => this.#report());
  }

  /** Logs the final counts. */
  stop(): void {
    this.#cancel?.();
    const { clock, logger, count } = this.#options;
    const durationMs = Math.round(clock.monotonicMs() - this.#startedAtMs);
    logger.info({ event: "ended", ...count(), durationMs }, "ended");
  }

  #report(): void {
    const { clock, logger, count, done } = this.#options;
    const counts = count();
    const timeMs = clock.monotonicMs();
    const seconds = (timeMs - this.#last.timeMs) / 1000;
    const ticksPerSecond = Math.round((counts.acknowledged - this.#last.acknowledged) / seconds);
    this.#last = { timeMs, acknowledged: counts.acknowledged };
    const state = this.#state(ticksPerSecond);
    if (state === this.#said) return;
    this.#said = state;
    logger.info({ event: "progress", ...counts, ticksPerSecond, done: done() }, "progress");
  }

  /** The same again would fill the log of an agent that has nothing to do. */
  #state(ticksPerSecond: number): string {
    return JSON.stringify({ ...this.#options.count(), ticksPerSecond });
  }
}
