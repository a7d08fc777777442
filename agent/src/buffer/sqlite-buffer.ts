/**
 * Where ticks wait on the device. It numbers them, hands them out at once, and writes those to disk that are not
 * acknowledged soon; docs/agent-buffer.md says what that promises.
 *
 * A tick is in the batch of the next commit and in the outlet at the same time; whichever comes first, its
 * acknowledgement or its commit, makes it safe. `done` are the positions that never need be sent again.
 */
import {
  type EquipoiseError,
  encodeRecord,
  encodeTrade,
  type Missing,
  type VenueGap,
  type VenueTrade,
} from "@equipoise/shared";
import type { Archive, RecordRange } from "../requests/archive.ts";
import type { BacklogPage } from "./backlog.ts";
import type { Batch, NumberedTick } from "./batch.ts";
import { Bound, calmMs } from "./bound.ts";
import { Commits } from "./commits.ts";
import { Expiry } from "./expiry.ts";
import { GroupCommit, lazyMs, unlessWeather } from "./group-commit.ts";
import { keptRecords } from "./kept.ts";
import { Marks } from "./marks.ts";
import { Newest } from "./newest.ts";
import { type BufferOptions, type BufferStats, storeOptionsOf } from "./options.ts";
import { Outlet } from "./outlet.ts";
import { Page } from "./page.ts";
import type { Commit, Committed, LostRange, Opened } from "./protocol.ts";
import type { BufferedTick, LastTrade, TickQueue } from "./queue.ts";
import { RenewableStore } from "./renewable-store.ts";
import { Rescue } from "./rescue.ts";
import { lookMs, Room } from "./room.ts";
import { SetAsideLog } from "./set-aside-log.ts";
import { SetAsideThread } from "./set-aside-thread.ts";
import { Settlement } from "./settlement.ts";
import { type NumberedStream, noStreams, reserveIsLow, Streams, type StreamsOptions } from "./streams.ts";
import type { StoreThread } from "./thread.ts";
import { aboutRange, afterCrash, beforeFirst, unread, unstored, warnOfReserve } from "./told.ts";
import { Uptime } from "./uptime.ts";
import { Writer } from "./writer.ts";

/** After so many acknowledgements of ticks that are on the disk they are written down soon. */
const settledTicks = 1_000;
const settleLatencyMs = 50;

export class SqliteBuffer implements TickQueue, Archive {
  /** Rejects when the buffer cannot go on. */
  readonly failed: Promise<never>;
  readonly marks = new Marks(
    () => this.#streams,
    () => this.#groupCommit.changed(lazyMs),
  );
  readonly #options: BufferOptions;
  readonly #store: RenewableStore;
  readonly #setAside: SetAsideThread;
  readonly #setAsideLog: SetAsideLog;
  readonly #uptime: Uptime;
  readonly #groupCommit: GroupCommit;
  readonly #outlet: Outlet;
  readonly #settlement = new Settlement();
  readonly #rescue: Rescue;
  readonly #writer: Writer;
  readonly #bound: Bound;
  readonly #room: Room;
  readonly #expiry: Expiry;
  readonly #newest = new Newest();
  #streams: Streams;
  #epoch = "";
  #earlierEpoch: Opened["earlierEpoch"] = null;
  /** The position of the next tick. */
  #end = 1;
  /** What no gap record on the disk tells of. */
  #untold: LostRange[] = [];
  #readable: () => void = () => undefined;

  constructor(options: BufferOptions) {
    const { commitLatencyMs: latencyMs, clock, logger, drain } = options;
    const { promise, reject: failed } = Promise.withResolvers<never>();
    this.#options = options;
    this.failed = promise;
    promise.catch(() => undefined); // it may fail before its owner has begun to await it
    this.#streams = this.#createStreams(noStreams);
    this.#uptime = new Uptime(clock);
    this.#setAside = new SetAsideThread(options.directory, clock);
    this.#setAsideLog = new SetAsideLog(logger);
    this.#store = new RenewableStore((thread, error) => this.#renew(thread, error));
    this.#bound = new Bound(options.maxBytes, options.whenFull, logger);
    const uptimeMs = (): number => this.#uptime.nowMs();
    this.#groupCommit = new GroupCommit({
      latencyMs,
      clock,
      uptimeMs,
      logger,
      commit: (batch) => this.#commit(batch),
      refused: () => this.#writer.afterRefusal(),
      firstUnsettled: (batch) => this.#settlement.firstUnsettled(batch),
      committed: () => this.#room.committed(),
      failed,
    });
    const unacknowledged = (): number => this.#settlement.waiting(this.#end);
    this.#room = new Room(options.whenFull, this.#bound, this.#groupCommit, unacknowledged);
    const read = (position: number, direction: "up" | "down") => this.#read(position, direction);
    this.#outlet = new Outlet({ drain, uptimeMs, read, readable: () => this.#readable(), failed });
    this.#rescue = new Rescue((id) => this.#streams.byId(id));
    const parts = { outlet: this.#outlet, settlement: this.#settlement, isShort: () => this.#bound.isOfDisk };
    this.#expiry = new Expiry(options, { ...parts, groupCommit: this.#groupCommit, uptimeMs });
    this.#writer = new Writer({
      commits: new Commits({ ...parts, options, uptime: this.#uptime, streams: () => this.#streams }),
      rescue: this.#rescue,
      commit: (commit) => this.#store.commit(commit),
      noted: (commit, committed) => this.#noteCommit(commit, committed),
    });
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** @throws EquipoiseError what {@link Store.open} throws */
  async start(): Promise<void> {
    this.#begin(await this.#store.open(storeOptionsOf(this.#options)));
    this.#expiry.start();
  }

  /** Takes and numbers a trade; see TickSink of the sources. */
  put(trade: VenueTrade): boolean {
    const stream = this.#streamOf(trade.venue, trade.symbol);
    stream.read = trade;
    if (this.#room.mustDrop()) return this.#drop(stream);
    stream.seq += 1;
    const payload = encodeTrade(trade, { agent: this.#options.agentId, epoch: this.#epoch, seq: stream.seq });
    this.#newest.note(stream, payload);
    this.#add(stream, payload);
    return !this.#room.mustWait();
  }

  /** Takes and numbers a gap record; see TickSink of the sources. */
  gap({ venue, symbol, ...missing }: VenueGap): boolean {
    const stream = this.#streamOf(venue, symbol);
    if (this.#room.mustDrop()) return this.#drop(stream, missing);
    this.#addGap(stream, missing);
    return !this.#room.mustWait();
  }

  room(): Promise<boolean> {
    return this.#room.wait();
  }

  /** The agent stops: nobody waits for room any more. */
  endIntake(): void {
    this.#room.close();
  }

  /** Resolves when everything put so far is committed. @throws EquipoiseError see {@link GroupCommit.flush} */
  flush(): Promise<void> {
    return this.#groupCommit.flush();
  }

  take(): BufferedTick | undefined {
    const tick = this.#outlet.take();
    if (tick !== undefined) this.#settlement.take(tick);
    return tick;
  }

  isEmpty(): boolean {
    return this.#outlet.isEmpty();
  }

  onReadable(callback: () => void): void {
    this.#readable = callback;
  }

  settle(position: number): void {
    this.#settlement.settle(position);
    const isUrgent = this.#settlement.unwritten >= settledTicks || this.#room.isWanted;
    this.#groupCommit.changed(isUrgent ? settleLatencyMs : lazyMs);
  }

  takeNewest(): LastTrade[] {
    return this.#newest.take();
  }

  /** See {@link Archive}. @throws EquipoiseError EQ_STORE_FAILED, EQ_STORE_DAMAGED */
  async range(wanted: RecordRange, limit: number): Promise<string[]> {
    const { venue, symbol, epoch = this.#epoch } = wanted;
    if (epoch !== this.#epoch) return await this.#setAside.range({ ...wanted, epoch }, limit);
    const stream = this.#streams.find(venue, symbol);
    if (stream === undefined || limit <= 0) return [];
    const hasSetAside = this.#setAsideLog.state.files > 0;
    const setAside = (of: RecordRange, most: number) => this.#setAside.range({ ...of, epoch }, most);
    const { batches: uncommitted } = this.#groupCommit;
    const keeping = { stream, uncommitted, store: this.#store, setAside: hasSetAside ? setAside : undefined };
    return await keptRecords(keeping, wanted, limit);
  }

  /** The newest trade of a stream since the start; undefined before the first. */
  latest(venue: string, symbol: string): string | undefined {
    const stream = this.#streams.find(venue, symbol);
    return stream === undefined ? undefined : this.#newest.latest(stream);
  }

  /** Every stream that has had a record. */
  streams(): { venue: string; symbol: string; seq: number }[] {
    return [...this.#streams.all()].map(({ venue, symbol, seq }) => ({ venue, symbol, seq }));
  }

  /** Whether sources must wait, how many ticks have no commit yet, and whether the disk refuses commits. */
  intake(): { full: boolean; uncommitted: number; refused: boolean } {
    const { ticks: uncommitted, refused } = this.#groupCommit.waiting;
    return { full: this.#room.mustWait(), uncommitted, refused };
  }

  stats(): BufferStats {
    const { oldestTakenUptimeMs: taken = Number.POSITIVE_INFINITY } = this.#settlement;
    const oldest = Math.min(taken, this.#outlet.peek()?.bufferedUptimeMs ?? Number.POSITIVE_INFINITY);
    return {
      state: this.#room.state,
      ticks: this.#settlement.waiting(this.#end),
      bytes: this.#bound.usedBytes,
      safe: this.#settlement.safe,
      lost: this.#settlement.lost,
      setAside: this.#setAsideLog.state,
      oldestAgeMs: Number.isFinite(oldest) ? Math.round(this.#uptime.nowMs() - oldest) : null,
    };
  }

  /**
   * Commits what is left, notes what is acknowledged and closes the database.
   * @throws EquipoiseError EQ_TICKS_UNSTORED when the disk does not take all of it
   */
  async stop(): Promise<void> {
    this.endIntake();
    this.#expiry.stop();
    let isTold = false;
    try {
      const refusal = await this.#groupCommit.finish();
      const { batches } = this.#groupCommit;
      isTold = refusal === undefined || (await this.#writer.giveUp(batches));
      const count = this.#settlement.unsettled(...batches);
      if (refusal !== undefined && count > 0) throw unstored(refusal, count);
    } finally {
      await this.#setAside.stop();
      if (!(await this.#store.close(isTold))) warnOfReserve(this.#options.logger);
    }
  }

  #begin(opened: Opened): void {
    const { epoch, done, end, uptimeMs, usedBytes, setAside, lost } = opened;
    if (setAside !== undefined) this.#setAsideLog.report(`set aside as ${setAside}`, { path: setAside });
    this.#setAsideLog.note(opened.setAsideFiles);
    this.#epoch = epoch;
    this.#earlierEpoch = opened.earlierEpoch;
    this.#streams = this.#createStreams(opened);
    this.#uptime.continue(uptimeMs);
    this.#bound.update(usedBytes, false);
    this.#end = end;
    this.#settlement.begin(done, end);
    this.#outlet.backlog.begin(done, end);
    for (const stream of this.#streams.all()) this.#tellCrash(stream);
    this.#tell(lost.filter(({ streamId }) => this.#streams.byId(streamId).seq === 0)); // before its first number
    if (lost.length > 0) this.#groupCommit.changed(0); // its answer makes them gap records
  }

  #createStreams(held: Omit<StreamsOptions, "agentId" | "onForgotten">): Streams {
    const { agentId } = this.#options;
    return new Streams({ agentId, ...held, onForgotten: (stream) => this.#newest.forget(stream) });
  }

  #streamOf(venue: string, symbol: string): NumberedStream {
    const known = this.#streams.find(venue, symbol);
    if (known !== undefined) return known;
    const stream = this.#streams.begin(venue, symbol);
    for (const missing of beforeFirst(stream, this.#earlierEpoch)) this.#addGap(stream, missing);
    return stream;
  }

  #tellCrash(stream: NumberedStream): void {
    const missing = afterCrash(stream);
    if (missing === undefined) return;
    stream.seq = stream.reserved;
    stream.committedSeq = stream.reserved;
    this.#addGap(stream, missing);
  }

  #addGap(stream: NumberedStream, missing: Missing): void {
    stream.seq += 1;
    const { agentId: agent } = this.#options;
    this.#add(stream, encodeRecord({ ...missing, type: "gap", agent, epoch: this.#epoch, seq: stream.seq }));
  }

  #add(stream: NumberedStream, payload: string): void {
    const tick: NumberedTick = {
      position: this.#end,
      stream,
      seq: stream.seq,
      payload,
      bufferedTimeMs: Math.floor(this.#options.clock.wallMs()),
      bufferedUptimeMs: this.#uptime.nowMs(),
    };
    stream.lastPosition = this.#end;
    this.#end += 1;
    const isLive = this.#outlet.put(this.#groupCommit.add(tick));
    if (!isLive || reserveIsLow(stream)) this.#groupCommit.commitNow();
  }

  /** @param gap what it tells, when it is a gap record */
  #drop(stream: NumberedStream, gap?: Missing): boolean {
    stream.seq += 1;
    this.#settlement.lost += 1;
    if (gap === undefined) this.#groupCommit.pending.drop(stream);
    else this.#groupCommit.pending.dropGap(stream, gap);
    this.#groupCommit.changed(lookMs);
    return true;
  }

  async #commit(batch: Batch): Promise<void> {
    if (this.#expiry.giveUp(batch)) this.#bound.evicted(this.#uptime.nowMs());
    const { commit, committed } = await this.#writer.write(batch);
    this.#settlement.committed(batch, this.#groupCommit.pending);
    this.#noteCommit(commit, committed);
    if (this.#isRunOver()) {
      this.#bound.relieved();
      this.#tell(committed.lost);
    } else if (committed.lost.length > 0) this.#groupCommit.changed(calmMs);
    this.#outlet.backlog.committed(this.#settlement.committedEnd);
    this.#readable();
  }

  #noteCommit(commit: Commit, committed: Committed): void {
    const { usedBytes, diskLow, evicted, lost, oldest } = committed;
    this.#bound.update(usedBytes, diskLow);
    this.#streams.committed(commit, committed, oldest ?? this.#settlement.committedEnd);
    this.#untold = lost;
    for (const extent of evicted) this.#giveUp(extent);
    if (evicted.length > 0) this.#bound.evicted(this.#uptime.nowMs());
  }

  #giveUp([from, to]: readonly [number, number]): void {
    this.#settlement.giveUp(from, to);
    this.#outlet.backlog.exclude(from, to);
  }

  /** No more is given up, for now or because nothing waits any more. */
  #isRunOver(): boolean {
    if (this.#room.isFull()) return false;
    return this.#settlement.waiting(this.#end) === 0 || !this.#bound.isEvicting(this.#uptime.nowMs());
  }

  /** One gap record for each of these ranges. */
  #tell(lost: readonly LostRange[]): void {
    for (const range of lost) {
      this.#groupCommit.pending.told.push(range);
      this.#addGap(this.#streams.byId(range.streamId), aboutRange(range));
    }
  }

  async #read(position: number, direction: "up" | "down"): Promise<BacklogPage | undefined> {
    const page = await this.#store.read(position, direction);
    if (page === undefined) return undefined;
    if ("lost" in page) {
      this.#untold = page.lost;
      this.#giveUp(page.extent);
      this.#setAsideLog.reportPart();
      this.#groupCommit.changed(0); // its answer makes gap records of the loss
      return { ticks: undefined, extent: page.extent };
    }
    if (this.#options.drain === "oldestFirst") {
      for (const { streamId, toSeq } of page.chunk.ranges) this.#streams.byId(streamId).takenSeq = toSeq;
    }
    const { chunk, extent } = page;
    return { ticks: (wanted) => new Page(chunk, wanted, (id) => this.#streams.byId(id)), extent };
  }

  /** Every number is known, so the epoch goes on; what only the damaged database held is lost. */
  async #renew(thread: StoreThread, error: EquipoiseError): Promise<void> {
    this.#setAsideLog.report(error.message, {});
    const { committedEnd } = this.#settlement;
    const inMemory = [...this.#settlement.taken(), ...this.#outlet.inMemory()];
    const done = this.#rescue.begin(inMemory, committedEnd);
    const gone = this.#outlet.backlog.unread();
    for (const range of gone) this.#giveUp(range);
    const lost = gone.length > 0 ? [...this.#streams.all()].flatMap(unread) : [];
    const { setAsideFiles } = await thread.open({
      ...storeOptionsOf(this.#options),
      continued: {
        epoch: this.#epoch,
        earlierEpoch: this.#earlierEpoch,
        streams: this.#streams.stored(),
        forgottenSeq: this.#streams.forgotten.seq,
        done,
        lost: [...this.#untold, ...lost],
      },
    });
    this.#setAsideLog.note(setAsideFiles);
    // Where the disk refuses it, it comes before the next commit.
    await this.#writer.storeRescued((commit) => thread.commit(commit)).catch(unlessWeather);
    this.#groupCommit.changed(0); // its answer makes gap records of the loss
  }
}
