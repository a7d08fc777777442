/** Normalised trades, one JSON object a line, from a stream: the standard input of the agent. */
import type { Readable } from "node:stream";
import { type Clock, EquipoiseError, type Logger, reasonOf } from "@equipoise/shared";
import { Inflow } from "./inflow.ts";
import { Intake } from "./intake.ts";
import { defaultGraceMs, type Source, type SourceStatus, type TickSink } from "./source.ts";
import { UnreadLines } from "./unread-lines.ts";

export class StdinSource implements Source {
  readonly #spec: string;
  readonly #input: Readable;
  readonly #clock: Clock;
  readonly #intake: Intake;
  #inflow: Inflow | undefined;
  #state: SourceStatus["state"] = "running";

  constructor(spec: string, input: Readable, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#input = input;
    this.#clock = clock;
    this.#intake = new Intake(spec, logger);
  }

  status(): SourceStatus {
    const { ticks, skipped, dropped, gaps } = this.#intake;
    return { spec: this.#spec, state: this.#state, ticks, skipped: skipped + dropped, gaps, done: null };
  }

  async open(): Promise<void> {}

  async run(sink: TickSink): Promise<void> {
    const [input, clock, intake] = [this.#input, this.#clock, this.#intake];
    // Full or not: the next trade waits for room.
    const unread = new UnreadLines(clock, (gap) => intake.putGap(gap, sink));
    this.#inflow = new Inflow({ input, sink, clock, intake, unread });
    try {
      await this.#inflow.read();
      this.#state = "ended";
    } catch (error) {
      this.#state = "failed";
      const reason = `standard input: ${reasonOf(error)}`;
      throw new EquipoiseError("EQ_SOURCE_UNREADABLE", reason, { cause: error });
    } finally {
      unread.stop();
      intake.end();
    }
  }

  stop(graceMs = defaultGraceMs): void {
    if (this.#inflow === undefined) this.#input.destroy();
    else this.#inflow.stop(graceMs);
  }
}
