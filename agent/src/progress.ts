/** How far the agent is, once a second, and the count at the end. */
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

const periodMs = 1_000;

export class Progress {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #count: () => Counts;
  /** How much of the files is read, 0 to 1; null without files. */
  readonly #done: () => number | null;
  #cancel: (() => void) | undefined;
  #startedAtMs = 0;
  #last = { timeMs: 0, acknowledged: 0 };

  constructor(clock: Clock, logger: Logger, count: () => Counts, done: () => number | null) {
    this.#clock = clock;
    this.#logger = logger;
    this.#count = count;
    this.#done = done;
  }

  start(): void {
    this.#startedAtMs = this.#clock.monotonicMs();
    this.#last = { timeMs: this.#startedAtMs, acknowledged: 0 };
    this.#cancel = this.#clock.every(periodMs, () => this.#report());
  }

  /** Logs the final counts. */
  stop(): void {
    this.#cancel?.();
    const durationMs = Math.round(this.#clock.monotonicMs() - this.#startedAtMs);
    this.#logger.info({ event: "ended", ...this.#count(), durationMs }, "ended");
  }

  #report(): void {
    const counts = this.#count();
    const timeMs = this.#clock.monotonicMs();
    const seconds = (timeMs - this.#last.timeMs) / 1000;
    const ticksPerSecond = Math.round((counts.acknowledged - this.#last.acknowledged) / seconds);
    this.#last = { timeMs, acknowledged: counts.acknowledged };
    this.#logger.info({ event: "progress", ...counts, ticksPerSecond, done: this.#done() }, "progress");
  }
}
