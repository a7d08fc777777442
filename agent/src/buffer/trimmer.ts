/** Keeps the database within its bounds: acknowledged ticks go first, then those that are too old, then the oldest. */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { Acknowledged, lastOf } from "./acknowledged.ts";
import { payloadsOf, seqsOf } from "./chunk.ts";
import { lostWithDamaged } from "./chunk-gaps.ts";
import type { Database } from "./database.ts";
import { lostWith } from "./given-up.ts";
import type { Losses } from "./losses.ts";
import { Positions } from "./positions.ts";
import type { Bounds, LostRange } from "./protocol.ts";
import type { ChunkRow, Statements } from "./schema.ts";
import { storedChunk } from "./stored-chunk.ts";

/** Room is made before it is needed: up to this share of the bound, and this much of the free disk. */
const trimShare = 0.9;
const spareDiskBytes = 2 ** 20;
/** A commit deletes at most this many chunks, so that it does not take long. */
const maxDeleted = 256;

export class Trimmer {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #losses: Losses;
  readonly #acknowledged: Acknowledged;
  #evicted: (readonly [number, number])[] = [];
  /** All that has been deleted unsent: whoever writes a commit may not know yet. */
  #gone = new Positions();
  /** The chunk that was read last: whoever wrote a commit meanwhile did not know yet that its ticks are at hand. */
  #lastRead: readonly [number, number] = [0, 0];
  #deleted = 0;

  constructor(database: Database, statements: Statements, losses: Losses) {
    this.#database = database;
    this.#statements = statements;
    this.#losses = losses;
    this.#acknowledged = new Acknowledged(statements);
  }

  /** @returns what restores the memory's state when the transaction fails */
  mark(): () => void {
    const [evicted, gone, restore] = [[...this.#evicted], this.#gone.flat(), this.#acknowledged.mark()];
    return () => {
      this.#gone = new Positions(gone);
      this.#evicted = evicted;
      restore();
    };
  }

  /** Within a transaction. @returns what is done now, see {@link Positions} */
  trim(done: readonly number[], bounds: Bounds): number[] {
    const positions = new Positions(done);
    this.#deleted = 0;
    this.#acknowledged.count(positions);
    this.#trimAcknowledged(positions, bounds);
    this.#trimUnsent(positions, bounds);
    return this.withGone(positions);
  }

  /** A chunk is on its way to the broker. */
  handOut(from: number, to: number): void {
    this.#lastRead = [from, to];
  }

  /** A chunk is deleted although it was not sent. */
  lose(from: number, to: number): void {
    this.#gone.add(from, to);
  }

  withGone(done: Positions): number[] {
    for (const [from, to] of this.#gone.ranges) done.add(from, to);
    return done.flat();
  }

  /** Less of the disk is free than is to be left. */
  isDiskLow(minFreeDiskBytes: number): boolean {
    if (minFreeDiskBytes === 0) return false;
    const { bavail, bsize } = statfsSync(dirname(this.#database.path));
    return bavail * bsize - minFreeDiskBytes + this.#database.freeBytes < spareDiskBytes;
  }

  /** Those since the last call. */
  takeEvicted(): (readonly [number, number])[] {
    return this.#evicted.splice(0);
  }

  #trimAcknowledged(done: Positions, bounds: Bounds): void {
    for (const row of this.#acknowledged.oldestFirst(done)) {
      const isKept = row.uptime_ms >= bounds.keepFromUptimeMs && this.#acknowledged.bytes <= bounds.keepBytes;
      if (this.#deleted >= maxDeleted || (isKept && !this.#isOver(bounds))) return;
      this.#acknowledged.remove(row);
      this.#delete(row);
    }
  }

  #trimUnsent(done: Positions, bounds: Bounds): void {
    const [from, before] = this.#untouched(bounds.evictable);
    for (
      let row = this.#oldest(from);
      row !== undefined && this.#deleted < maxDeleted;
      row = this.#oldest(from)
    ) {
      if (lastOf(row) >= before) return;
      const goes = row.uptime_ms < bounds.expireBeforeUptimeMs || (bounds.evict && this.#isOver(bounds));
      if (!goes) return;
      this.#losses.add(this.#lostWith(row, done));
      this.#evicted.push([row.first, lastOf(row)]);
      this.lose(row.first, lastOf(row));
      this.#delete(row);
    }
  }

  #untouched([from, before]: Bounds["evictable"]): Bounds["evictable"] {
    const [first, last] = this.#lastRead;
    if (last < from || first >= before) return [from, before];
    return first <= from ? [last + 1, before] : [from, first];
  }

  #oldest(from: number): ChunkRow | undefined {
    return this.#statements.chunkFrom.get(from);
  }

  #delete({ first }: ChunkRow): void {
    this.#deleted += 1;
    this.#statements.deleteChunk.run(first);
  }

  /** The numbers of the chunk's ticks that are not acknowledged. @throws SqliteError see {@link storedChunk} */
  #lostWith({ first }: ChunkRow, done: Positions): LostRange[] {
    const row = this.#statements.fullChunk.get(first);
    if (row === undefined) throw new Error(`the chunk ${first} is not there`);
    const { ranges, records } = storedChunk(row);
    if (records === undefined) return lostWithDamaged(row, ranges, done);
    const payloads = payloadsOf(records);
    const undone = seqsOf(records.streamIds, ranges).flatMap((seq, index) =>
      done.has(first + index)
        ? []
        : [{ streamId: records.streamIds[index] ?? 0, seq, payload: payloads[index] ?? "" }],
    );
    return lostWith(undone);
  }

  #isOver({ maxBytes, minFreeDiskBytes }: Bounds): boolean {
    return this.#database.usedBytes >= maxBytes * trimShare || this.isDiskLow(minFreeDiskBytes);
  }
}
