/** Normalised trades, one JSON object a line, from a stream: the standard input of the agent. */
import type { Readable } from "node:stream";
import { type Clock, EquipoiseError, type Logger, limits, reasonOf } from "@equipoise/shared";
import { Intake } from "./intake.ts";
import { lineBatches } from "./lines.ts";
import { parseNormalisedTrade } from "./normalised.ts";
import type { Source, SourceStatus, TickSink } from "./source.ts";
import { UnreadLines } from "./unread-lines.ts";

export class StdinSource implements Source {
  readonly #spec: string;
  readonly #input: Readable;
  readonly #clock: Clock;
  readonly #intake: Intake;
  readonly #unread: UnreadLines;
  #sink: TickSink | undefined;
  #state: SourceStatus["state"] = "running";
  #stopped = false;

  constructor(spec: string, input: Readable, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#input = input;
    this.#clock = clock;
    this.#intake = new Intake(spec, logger);
    // Full or not: the next trade waits for room.
    this.#unread = new UnreadLines(clock, (gap) => this.#sink && this.#intake.putGap(gap, this.#sink));
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    return { spec: this.#spec, state: this.#state, ticks, skipped, gaps, done: null };
  }

  async open(): Promise<void> {}

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    try {
      await this.#read(sink);
      this.#state = "ended";
    } catch (error) {
      // Destroying the input is how a pending read is ended.
      this.#state = this.#stopped ? "ended" : "failed";
      if (this.#stopped) return;
      const reason = `standard input: ${reasonOf(error)}`;
      throw new EquipoiseError("EQ_SOURCE_UNREADABLE", reason, { cause: error });
    } finally {
      this.#unread.stop();
      this.#intake.end();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#input.destroy();
  }

  async #read(sink: TickSink): Promise<void> {
    for await (const lines of lineBatches(this.#input, limits.maxRecordBytes)) {
      for (const line of lines) {
        if (this.#stopped) return;
        const receivedTimeUs = Math.round(this.#clock.wallMs() * 1000);
        const trade = this.#intake.next(line, (text) => parseNormalisedTrade(text, receivedTimeUs));
        if (trade === undefined) this.#unread.note(line);
        else this.#unread.read(trade, receivedTimeUs);
        if (trade !== undefined && !this.#intake.put(trade, sink)) await sink.room();
      }
    }
  }
}
