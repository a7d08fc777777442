/** A recorded file, plain or gzip, at the pace it was recorded, once or over and over. */
import { type FileHandle, open } from "node:fs/promises";
import {
  type Clock,
  EquipoiseError,
  type Logger,
  limits,
  reasonOf,
  systemCode,
  type VenueTrade,
} from "@equipoise/shared";
import { isOfAnotherKind, parseBinanceFrame } from "./binance.ts";
import { gunzipped } from "./gunzip.ts";
import { Intake } from "./intake.ts";
import { type Line, lineBatches } from "./lines.ts";
import { Pacer } from "./pacer.ts";
import { splitRecording } from "./recording.ts";
import type { Source, SourceStatus, TickSink } from "./source.ts";
import type { SourceSpec } from "./spec.ts";
import { UnreadLines } from "./unread-lines.ts";

/** Compressed chunks are smaller: they hold ten times as many ticks, and the share read should not move in leaps. */
const plainChunkBytes = 64 * 1024;
const gzipChunkBytes = 8 * 1024;

/** So many lines at the beginning without a time show that the file is no recording. */
const maxForeignLines = 100;

export class FileSource implements Source {
  readonly #spec: SourceSpec & { kind: "file" };
  readonly #clock: Clock;
  readonly #pacer: Pacer;
  readonly #intake: Intake;
  readonly #unread: UnreadLines;
  #isRecording = false;
  /** Lines before the first of a recording. */
  #foreignLines = 0;
  #sink: TickSink | undefined;
  #state: SourceStatus["state"] = "running";
  #stopped = false;
  #handle: FileHandle | undefined;
  #seekable = true;
  #sizeBytes = 0;
  #readBytes = 0;

  /** @param speed see {@link Pacer} */
  constructor(spec: SourceSpec & { kind: "file" }, speed: number, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#pacer = new Pacer(clock, speed);
    this.#intake = new Intake(spec.text, logger);
    // Full or not: the next trade waits for room.
    this.#unread = new UnreadLines(clock, (gap) => this.#sink && this.#intake.putGap(gap, this.#sink));
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    const done = this.#sizeBytes === 0 ? null : Math.min(1, this.#readBytes / this.#sizeBytes);
    return { spec: this.#spec.text, state: this.#state, ticks, skipped, gaps, done };
  }

  async open(): Promise<void> {
    try {
      this.#handle = await open(this.#spec.path, "r");
      const stat = await this.#handle.stat();
      if (stat.isDirectory())
        throw new EquipoiseError("EQ_SOURCE_UNREADABLE", `${this.#spec.path} is a directory`);
      this.#seekable = stat.isFile();
      this.#sizeBytes = this.#seekable ? stat.size : 0;
    } catch (error) {
      await this.#close();
      throw unreadable(this.#spec.path, error);
    }
  }

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    try {
      let before: number;
      do {
        before = this.#intake.ticks;
        await this.#pass(sink);
        // A pass without a trade would loop for ever without a pause.
      } while (this.#spec.loop && this.#seekable && !this.#stopped && this.#intake.ticks > before);
      this.#state = "ended";
    } catch (error) {
      this.#state = "failed";
      throw unreadable(this.#spec.path, error);
    } finally {
      this.#unread.stop();
      this.#intake.end();
      await this.#close();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#pacer.stop();
  }

  async #pass(sink: TickSink): Promise<void> {
    this.#pacer.begin();
    this.#intake.beginPass();
    this.#readBytes = 0;
    const compressed = this.#spec.path.endsWith(".gz");
    const bytes = compressed ? gunzipped(this.#chunks(gzipChunkBytes)) : this.#chunks(plainChunkBytes);
    for await (const lines of lineBatches(bytes, limits.maxRecordBytes)) {
      for (const line of lines) {
        const wait = this.#stopped ? undefined : this.#take(line, sink);
        if (wait !== undefined) await wait;
      }
      if (this.#stopped) return;
    }
    if (!this.#isRecording && this.#foreignLines > 0) throw this.#noRecording();
  }

  /** Returns a promise only where there is something to wait for, which spares a turn for every other line. */
  #take(line: Line, sink: TickSink): Promise<unknown> | undefined {
    const recorded = this.#intake.next(line, splitRecording);
    if (recorded === undefined) {
      this.#miss(line);
      return undefined;
    }
    this.#isRecording = true;
    const due = this.#pacer.until(recorded.recordedTimeUs);
    return due === undefined ? this.#put(recorded.frame, sink) : this.#putWhen(due, recorded.frame, sink);
  }

  /** Nothing is missing of a file that is no recording. */
  #miss(line: Line): void {
    if (this.#isRecording) this.#unread.note(line);
    else if (line !== "") this.#foreignLines += 1;
    if (this.#foreignLines > maxForeignLines) throw this.#noRecording();
  }

  #noRecording(): EquipoiseError {
    const form = "no line of it has the form TIME_NS FRAME; trades in the product's own form go to stdin:";
    return new EquipoiseError("EQ_SOURCE_UNREADABLE", `${this.#spec.path} is no recording: ${form}`);
  }

  async #putWhen(due: Promise<void>, frame: string, sink: TickSink): Promise<void> {
    await due;
    if (!this.#stopped) await this.#put(frame, sink);
  }

  #put(frame: string, sink: TickSink): Promise<unknown> | undefined {
    const receivedTimeUs = Math.round(this.#clock.wallMs() * 1000);
    const trade = this.#read(frame, receivedTimeUs);
    if (trade !== undefined) this.#unread.read(trade, receivedTimeUs);
    else if (!isOfAnotherKind(frame)) this.#unread.note(frame);
    if (trade === undefined || this.#intake.put(trade, sink)) return undefined;
    return sink.room();
  }

  #read(frame: string, receivedTimeUs: number): VenueTrade | undefined {
    try {
      return parseBinanceFrame(frame, this.#spec.venue, receivedTimeUs);
    } catch (error) {
      this.#intake.fault(error);
      return undefined;
    }
  }

  /** Each is overwritten by the next. */
  async *#chunks(chunkBytes: number): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.alloc(chunkBytes);
    while (this.#handle !== undefined) {
      const position = this.#seekable ? this.#readBytes : null;
      const { bytesRead } = await this.#handle.read(buffer, 0, chunkBytes, position);
      if (bytesRead === 0) return;
      this.#readBytes += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async #close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }
}

function unreadable(path: string, error: unknown): unknown {
  if (error instanceof EquipoiseError || systemCode(error) === undefined) return error;
  return new EquipoiseError("EQ_SOURCE_UNREADABLE", `${path}: ${reasonOf(error)}`, { cause: error });
}
