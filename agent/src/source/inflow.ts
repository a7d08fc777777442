/**
 * Normalised trades, one JSON object a line, out of one stream of bytes: to its end, or, once it is told to stop, as long
 * as lines still come. What there is no room for then is read all the same, to say how much is missing and of which
 * streams.
 */
import type { Readable } from "node:stream";
import { type Clock, limits } from "@equipoise/shared";
import type { Intake } from "./intake.ts";
import { LastCall } from "./last-call.ts";
import { type Line, lineBatches } from "./lines.ts";
import { parseNormalisedTrade } from "./normalised.ts";
import type { TickSink } from "./source.ts";
import type { UnreadLines } from "./unread-lines.ts";

export interface InflowOptions {
  input: Readable;
  sink: TickSink;
  clock: Clock;
  intake: Intake;
  unread: UnreadLines;
  /** Whether a line ends it at once. */
  isForeign?: (line: Line) => boolean;
}

export class Inflow {
  readonly #options: InflowOptions;
  readonly #lastCall: LastCall;
  #cameTimeUs: number;
  #isOver = false;
  /** After the stop more came until the time was up; nobody knows how much. */
  #isCut = false;
  #hasRoom = true;
  #dropped = 0;
  #broken: { error: unknown } | undefined;

  constructor(options: InflowOptions) {
    this.#options = options;
    this.#cameTimeUs = this.#nowUs();
    this.#lastCall = new LastCall(options.clock, (isCut) => {
      this.#isOver = true;
      this.#isCut = isCut;
      options.input.destroy();
    });
  }

  stop(graceMs: number): void {
    this.#lastCall.begin(graceMs);
  }

  /**
   * @returns whether a foreign line has ended it
   * @throws what the stream of bytes broke off with; the lines before it have been put
   */
  async read(): Promise<boolean> {
    const { intake, unread } = this.#options;
    try {
      const isForeign = await this.#readLines();
      if (this.#broken !== undefined || this.#isCut) unread.noteSince(this.#cameTimeUs);
      if (this.#broken !== undefined) throw this.#broken.error;
      if (this.#isCut) intake.sayDropped("what still came at the stop: shutdownTimeoutMs");
      return isForeign;
    } finally {
      this.#lastCall.end();
      if (this.#dropped > 0) intake.sayDropped(`${this.#dropped} lines at the stop: no room`, this.#dropped);
    }
  }

  async #readLines(): Promise<boolean> {
    const { isForeign, sink } = this.#options;
    for await (const lines of lineBatches(this.#bytes(), limits.maxRecordBytes)) {
      for (const line of lines) {
        if (isForeign?.(line) === true) return true;
        if (!this.#take(line)) this.#hasRoom = await sink.room();
      }
    }
    return false;
  }

  /** False when the sink is full. */
  #take(line: Line): boolean {
    const { intake, unread, sink } = this.#options;
    if (!this.#hasRoom) return this.#drop(line);
    const receivedTimeUs = this.#nowUs();
    const trade = intake.next(line, (text) => parseNormalisedTrade(text, receivedTimeUs));
    if (trade === undefined) {
      unread.note(line);
      return true;
    }
    unread.read(trade, receivedTimeUs);
    return intake.put(trade, sink);
  }

  #drop(line: Line): true {
    if (line !== "") {
      this.#dropped += 1;
      this.#options.intake.dropped += 1;
    }
    this.#options.unread.note(line);
    return true;
  }

  /** Ends without an error even when the stream breaks off, so that the half line before it is not forgotten. */
  async *#bytes(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of this.#options.input) {
        this.#lastCall.came();
        this.#cameTimeUs = this.#nowUs();
        yield chunk;
        if (this.#isOver) return;
        this.#lastCall.wait();
      }
    } catch (error) {
      // Destroying it is how a pending read is ended.
      if (!this.#isOver) this.#broken = { error };
    }
  }

  #nowUs(): number {
    return Math.round(this.#options.clock.wallMs() * 1000);
  }
}
