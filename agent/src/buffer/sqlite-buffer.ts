/**
 * Where ticks wait on the device: it numbers them, commits them in groups, hands out only what is committed, and deletes
 * what is settled. At a bound (`whenFull: block`) `put` says so and the sources pause.
 */
import {
  type Clock,
  EquipoiseError,
  encodeRecord,
  isEncodedGap,
  type Logger,
  type Sequenced,
  type VenueGap,
  type VenueTrade,
} from "@equipoise/shared";
import { createEpoch } from "./epoch.ts";
import { GroupCommit } from "./group-commit.ts";
import type { Opened } from "./protocol.ts";
import type { BufferedTick, Stream, TickQueue } from "./queue.ts";
import { Reader } from "./reader.ts";
import { type NumberedStream, Streams } from "./streams.ts";
import { StoreThread } from "./thread.ts";

export interface BufferOptions {
  agentId: string;
  directory: string;
  /** Most bytes of the database in use. */
  maxBytes: number;
  /** How long a tick waits for others to share its commit. */
  commitLatencyMs: number;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
}

export interface BufferStats {
  /** Committed and not yet settled. */
  ticks: number;
  bytes: number;
  /** Committed since the start. */
  committed: number;
  /** Of the next tick to be taken; null when none is at hand. */
  nextBufferedTimeMs: number | null;
}

const maxWaitingTicks = 4_096;
const maxWaitingBytes = 4 * 2 ** 20;
const pageTicks = 2_048;
/** The sources go on when the buffer is this much below its bound, so that they do not stutter there. */
const resumeShare = 0.95;

export class SqliteBuffer implements TickQueue {
  /** Rejects when the buffer cannot go on: a damaged database, or a bug in its thread. */
  readonly failed: Promise<never>;
  readonly #options: BufferOptions;
  readonly #thread = new StoreThread();
  readonly #groupCommit: GroupCommit;
  readonly #reader: Reader;
  readonly #newest = new Map<Stream, BufferedTick>();
  readonly #roomWaiters: (() => void)[] = [];
  #streams: Streams;
  #epoch = "";
  #end = 1;
  #settled = 0;
  #usedBytes = 0;
  #committed = 0;
  #atBound = false;
  #intakeEnded = false;
  #readable: () => void = () => undefined;

  constructor(options: BufferOptions) {
    const { agentId, commitLatencyMs: latencyMs, clock, logger } = options;
    const { promise, reject } = Promise.withResolvers<never>();
    this.#options = options;
    this.failed = promise;
    promise.catch(() => undefined); // it may fail before its owner has begun to await it
    this.#streams = new Streams(agentId, []);
    this.#groupCommit = new GroupCommit({
      latencyMs,
      clock,
      logger,
      commit: (commit) => this.#thread.commit(commit),
      committed: (ticks, usedBytes) => this.#take(ticks, usedBytes),
      failed: reject,
    });
    this.#reader = new Reader({
      pageTicks,
      read: (from, limit) => this.#read(from, limit),
      readable: () => this.#readable(),
      failed: reject,
    });
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** @throws EquipoiseError what {@link Store.open} throws */
  async start(): Promise<void> {
    const { agentId, directory, clock, random } = this.#options;
    const wallMs = clock.wallMs();
    const freshEpoch = createEpoch(clock, random);
    try {
      this.#begin(await this.#thread.open({ directory, agentId, freshEpoch, wallMs }));
    } catch (error) {
      await this.#thread.terminate();
      throw error;
    }
  }

  /** Takes and numbers a trade; see TickSink of the sources. */
  put(trade: VenueTrade): boolean {
    const stream = this.#streams.of(trade.venue, trade.symbol);
    this.#groupCommit.add(stream, encodeRecord({ ...trade, type: "trade", ...this.#place(stream) }));
    return !this.#isFull();
  }

  /** Takes and numbers a gap record; see TickSink of the sources. */
  gap({ venue, symbol, ...missing }: VenueGap): boolean {
    const stream = this.#streams.of(venue, symbol);
    this.#groupCommit.add(stream, encodeRecord({ ...missing, type: "gap", ...this.#place(stream) }));
    return !this.#isFull();
  }

  async room(): Promise<void> {
    if (this.#intakeEnded || !this.#isFull()) return;
    await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
  }

  /** The agent stops: nobody waits for room any more, and a commit that is refused is not tried again. */
  endIntake(): void {
    this.#intakeEnded = true;
    this.#groupCommit.close();
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  /** Resolves when everything put so far is committed. @throws EquipoiseError see {@link GroupCommit.flush} */
  flush(): Promise<void> {
    return this.#groupCommit.flush();
  }

  take(): BufferedTick | undefined {
    return this.#reader.take();
  }

  isEmpty(): boolean {
    return this.#reader.isEmpty();
  }

  onReadable(callback: () => void): void {
    this.#readable = callback;
  }

  settle(position: number): void {
    this.#settled = position;
    this.#groupCommit.settle(position);
  }

  takeNewest(): BufferedTick[] {
    const newest = [...this.#newest.values()];
    this.#newest.clear();
    return newest;
  }

  stats(): BufferStats {
    return {
      ticks: this.#end - 1 - this.#settled,
      bytes: this.#usedBytes,
      committed: this.#committed,
      nextBufferedTimeMs: this.#reader.peek()?.bufferedTimeMs ?? null,
    };
  }

  /** Commits what is left, deletes what is settled and closes the database. */
  async stop(): Promise<void> {
    this.endIntake();
    await this.flush().finally(() => this.#thread.close());
  }

  #begin({ epoch, streams, begin, end, usedBytes, setAside }: Opened): void {
    const { agentId, logger } = this.#options;
    if (setAside !== undefined) {
      const error = new EquipoiseError("EQ_STORE_DAMAGED", `set aside as ${setAside}`);
      logger.error({ event: "bufferSetAside", code: error.code, path: setAside }, error.line);
    }
    this.#epoch = epoch;
    this.#streams = new Streams(agentId, streams);
    this.#usedBytes = usedBytes;
    this.#end = end;
    this.#settled = begin - 1;
    this.#groupCommit.begin(end, this.#settled);
    this.#reader.begin(begin, end);
  }

  #place(stream: NumberedStream): Sequenced {
    stream.seq += 1;
    return { agent: this.#options.agentId, epoch: this.#epoch, seq: stream.seq };
  }

  #take(ticks: BufferedTick[], usedBytes: number): void {
    this.#usedBytes = usedBytes;
    this.#end += ticks.length;
    this.#committed += ticks.length;
    for (const tick of ticks) if (!isEncodedGap(tick.payload)) this.#newest.set(tick.stream, tick);
    this.#reader.committed(ticks);
    if (this.#roomWaiters.length === 0 || this.#isFull()) return;
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  async #read(from: number, limit: number): Promise<BufferedTick[]> {
    const { first, payloads, streamIds, bufferedTimesMs } = await this.#thread.read(from, limit);
    return payloads.map((payload, index) => ({
      position: first + index,
      stream: this.#streams.byId(streamIds[index] ?? 0),
      payload,
      bufferedTimeMs: bufferedTimesMs[index] ?? 0,
    }));
  }

  #isFull(): boolean {
    const { ticks, bytes, refused } = this.#groupCommit.waiting;
    const { maxBytes } = this.#options;
    const atBound = this.#usedBytes + bytes >= (this.#atBound ? maxBytes * resumeShare : maxBytes);
    if (atBound !== this.#atBound) this.#reportBound(atBound);
    return atBound || refused || ticks >= maxWaitingTicks || bytes >= maxWaitingBytes;
  }

  #reportBound(atBound: boolean): void {
    this.#atBound = atBound;
    const { logger, maxBytes } = this.#options;
    const fields = { bytes: this.#usedBytes, maxBytes };
    if (!atBound) {
      logger.info({ event: "bufferRoom", ...fields }, "the buffer has room again; the sources go on");
      return;
    }
    const error = new EquipoiseError("EQ_LIMIT_REACHED", "buffer.maxBytes; the sources pause");
    logger.warn({ event: "bufferFull", code: error.code, ...fields }, error.line);
  }
}
