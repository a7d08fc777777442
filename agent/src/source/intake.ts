/** What all sources share: pieces of input in, trades out, bad pieces skipped, counted and reported. */
import {
  EquipoiseError,
  type Logger,
  limits,
  reasonOf,
  type VenueGap,
  type VenueTrade,
} from "@equipoise/shared";
import { type Line, tooLong } from "./lines.ts";
import type { TickSink } from "./source.ts";

const reportedSkips = 5;

export class Intake {
  ticks = 0;
  skipped = 0;
  gaps = 0;
  /** Pieces that there was no room for; not among the skipped. */
  dropped = 0;
  readonly #spec: string;
  readonly #logger: Logger;
  readonly #unit: "line" | "frame" | "record";
  #number = 0;

  /** @param unit what the input comes in */
  constructor(spec: string, logger: Logger, unit: "line" | "frame" | "record" = "line") {
    this.#spec = spec;
    this.#logger = logger;
    this.#unit = unit;
  }

  /** Numbers count from 1 again. */
  beginPass(): void {
    this.#number = 0;
  }

  /** What `read` makes of the next piece, or undefined when it is empty or was skipped as malformed. */
  next<T>(text: Line, read: (text: string) => T): T | undefined {
    this.#number += 1;
    if (text === "") return undefined;
    if (text !== tooLong) return this.attempt(read, text);
    this.skip(`the ${this.#unit} is longer than ${limits.maxRecordBytes} bytes`);
    return undefined;
  }

  /** Puts the trade of the current piece. False when the sink is full. */
  put(trade: VenueTrade, sink: TickSink): boolean {
    try {
      const more = sink.put(trade);
      this.ticks += 1;
      return more;
    } catch (error) {
      this.fault(error);
      return true;
    }
  }

  /** Puts a gap record. False when the sink is full. */
  putGap(gap: VenueGap, sink: TickSink): boolean {
    const more = this.attempt((missing) => sink.gap(missing), gap);
    if (more !== undefined) this.gaps += 1;
    return more ?? true;
  }

  /** Runs a step on the current piece, or on what was made of it; an expected fault skips the piece. */
  attempt<A, T>(step: (input: A) => T, input: A): T | undefined {
    try {
      return step(input);
    } catch (error) {
      this.fault(error);
      return undefined;
    }
  }

  /** What was wrong with the current piece. @throws the error itself when it is no expected fault */
  fault(error: unknown): void {
    if (!(error instanceof EquipoiseError)) throw error;
    this.skip(reasonOf(error));
  }

  /** Counts and reports the current piece as bad. */
  skip(reason: string): void {
    this.skipped += 1;
    if (this.skipped > reportedSkips) return;
    // What does not come one by one has no number.
    const which = this.#number === 0 ? {} : { [this.#unit]: this.#number };
    this.#logger.warn(
      { event: `${this.#unit}Skipped`, code: "EQ_SOURCE_BAD_RECORD", source: this.#spec, ...which, reason },
      `${[this.#spec, this.#unit, ...Object.values(which)].join(" ")} was skipped: ${reason}`,
    );
  }

  /** @param count undefined where nobody knows */
  sayDropped(what: string, count?: number): void {
    const error = new EquipoiseError("EQ_LIMIT_REACHED", `${this.#spec} dropped ${what}`);
    const fields = { event: "sourceDropped", code: error.code, source: this.#spec, dropped: count ?? null };
    this.#logger.warn(fields, error.line);
  }

  /** Says how many bad pieces were not reported one by one. */
  end(): void {
    const unreported = this.skipped - reportedSkips;
    if (unreported <= 0) return;
    const counts = { source: this.#spec, skipped: this.skipped, unreported };
    this.#logger.warn(
      { event: `${this.#unit}sSkipped`, code: "EQ_SOURCE_BAD_RECORD", ...counts },
      `${unreported} more ${this.#unit}s were skipped`,
    );
  }
}
