/** The part that all line sources share: lines in, trades out, bad lines skipped, counted and reported. */
import { EquipoiseError, type Logger, limits, reasonOf, type VenueTrade } from "@equipoise/shared";
import { type Line, tooLong } from "./lines.ts";
import type { TickSink } from "./source.ts";

const reportedLines = 5;

export class Intake {
  ticks = 0;
  skipped = 0;
  readonly #spec: string;
  readonly #logger: Logger;
  #line = 0;

  constructor(spec: string, logger: Logger) {
    this.#spec = spec;
    this.#logger = logger;
  }

  /** Line numbers count from 1 again. */
  beginPass(): void {
    this.#line = 0;
  }

  /** What `read` makes of the next line, or undefined when it is empty or was skipped as malformed. */
  next<T>(line: Line, read: (text: string) => T): T | undefined {
    this.#line += 1;
    if (line === "") return undefined;
    if (line !== tooLong) return this.attempt(() => read(line));
    this.#skip(`the line is longer than ${limits.maxRecordBytes} bytes`);
    return undefined;
  }

  /** Puts the trade of the current line. False when the sink is full. */
  put(trade: VenueTrade, sink: TickSink): boolean {
    const more = this.attempt(() => sink.put(trade));
    if (more !== undefined) this.ticks += 1;
    return more ?? true;
  }

  /** Runs a step on the current line; an expected fault skips the line. */
  attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      this.#skip(reasonOf(error));
      return undefined;
    }
  }

  /** Says how many bad lines were not reported one by one. */
  end(): void {
    const unreported = this.skipped - reportedLines;
    if (unreported <= 0) return;
    const counts = { source: this.#spec, skipped: this.skipped, unreported };
    this.#logger.warn(
      { event: "linesSkipped", code: "EQ_SOURCE_BAD_RECORD", ...counts },
      `${unreported} more lines were skipped`,
    );
  }

  #skip(reason: string): void {
    this.skipped += 1;
    if (this.skipped > reportedLines) return;
    const where = { source: this.#spec, line: this.#line, reason };
    this.#logger.warn(
      { event: "lineSkipped", code: "EQ_SOURCE_BAD_RECORD", ...where },
      `${this.#spec} line ${this.#line} was skipped: ${reason}`,
    );
  }
}
