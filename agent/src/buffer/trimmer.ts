/** Keeps the database within its bounds: acknowledged ticks go first, then those that are too old, then the oldest. */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { Gap } from "@equipoise/shared";
import { isEncodedGap } from "@equipoise/shared/tick";
import { decodeRanges, decodeRecords, payloadsOf, rangesOf, seqsOf } from "./chunk.ts";
import { lostWithDamaged } from "./chunk-gaps.ts";
import type { Database } from "./database.ts";
import type { Losses } from "./losses.ts";
import { Positions } from "./positions.ts";
import type { Bounds, LostRange } from "./protocol.ts";
import { toldAgain } from "./retold.ts";
import type { ChunkRow, Statements } from "./schema.ts";

/** Room is made before it is needed: up to this share of the bound, and this much of the free disk. */
const trimShare = 0.9;
const spareDiskBytes = 2 ** 20;
/** A commit deletes at most this many chunks, so that it does not take long. */
const maxDeleted = 256;

export class Trimmer {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #losses: Losses;
  /** Acknowledged chunks that are kept: their bytes, and the position up to which they are counted. */
  #keptBytes = 0;
  #countedTo = 0;
  #evicted: (readonly [number, number])[] = [];
  /** All that has been deleted unsent: whoever writes a commit may not know yet. */
  #gone = new Positions();
  #deleted = 0;

  constructor(database: Database, statements: Statements, losses: Losses, doneTo: number) {
    this.#database = database;
    this.#statements = statements;
    this.#losses = losses;
    this.#countKept(doneTo);
  }

  /** @returns what restores the memory's state when the transaction fails */
  mark(): () => void {
    const [keptBytes, countedTo, evicted] = [this.#keptBytes, this.#countedTo, [...this.#evicted]];
    const gone = this.#gone.flat();
    return () => {
      this.#gone = new Positions(gone);
      [this.#keptBytes, this.#countedTo, this.#evicted] = [keptBytes, countedTo, evicted];
    };
  }

  /** Within a transaction. @returns what is done now, see {@link Positions} */
  trim(done: readonly number[], bounds: Bounds): number[] {
    const positions = new Positions(done);
    this.#deleted = 0;
    this.#countKept(positions.upTo);
    this.#trimKept(positions.upTo, bounds);
    this.#trimUnsent(positions, bounds);
    return this.withGone(positions);
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

  #countKept(doneTo: number): void {
    for (const { first, count, size } of this.#statements.chunksUpTo.all({
      after: this.#countedTo,
      end: doneTo,
    })) {
      this.#keptBytes += size;
      this.#countedTo = first + count - 1;
    }
  }

  #trimKept(doneTo: number, bounds: Bounds): void {
    for (let row = this.#oldest(0); row !== undefined && this.#deleted < maxDeleted; row = this.#oldest(0)) {
      if (row.first + row.count - 1 > doneTo) return;
      const isKept = row.uptime_ms >= bounds.keepFromUptimeMs && this.#keptBytes <= bounds.keepBytes;
      if (isKept && !this.#isOver(bounds)) return;
      this.#keptBytes -= row.size;
      this.#delete(row);
    }
  }

  #trimUnsent(done: Positions, bounds: Bounds): void {
    const [from, before] = bounds.evictable;
    for (
      let row = this.#oldest(from);
      row !== undefined && this.#deleted < maxDeleted;
      row = this.#oldest(from)
    ) {
      if (row.first + row.count > before) return;
      const goes = row.uptime_ms < bounds.expireBeforeUptimeMs || (bounds.evict && this.#isOver(bounds));
      if (!goes) return;
      this.#losses.change(this.#lostWith(row, done), []);
      this.#evicted.push([row.first, row.first + row.count - 1]);
      this.lose(row.first, row.first + row.count - 1);
      this.#delete(row);
    }
  }

  #oldest(from: number): ChunkRow | undefined {
    return this.#statements.chunkFrom.get(from);
  }

  #delete({ first }: ChunkRow): void {
    this.#deleted += 1;
    this.#statements.deleteChunk.run(first);
  }

  /** The numbers of the chunk's ticks that are not acknowledged. */
  #lostWith({ first }: ChunkRow, done: Positions): LostRange[] {
    const row = this.#statements.fullChunk.get(first);
    const ranges = row === undefined ? undefined : decodeRanges(row.ranges);
    if (row === undefined || ranges === undefined) return [];
    const records = decodeRecords(row.records, row.count);
    if (records === undefined) return lostWithDamaged(ranges, row.gaps, (position) => done.has(position));
    const payloads = payloadsOf(records);
    const undone = seqsOf(records.streamIds, ranges).flatMap((seq, index) =>
      done.has(first + index)
        ? []
        : [{ streamId: records.streamIds[index] ?? 0, seq, payload: payloads[index] ?? "" }],
    );
    const evicted = rangesOf(undone).map((range) => ({ ...range, reason: "evicted" as const }));
    return [...evicted, ...undone.flatMap(toldBy)];
  }

  #isOver({ maxBytes, minFreeDiskBytes }: Bounds): boolean {
    return this.#database.usedBytes >= maxBytes * trimShare || this.isDiskLow(minFreeDiskBytes);
  }
}

/** What a gap record tells of must be told again when it is lost itself. */
function toldBy({ streamId, payload }: { streamId: number; payload: string }): LostRange | LostRange[] {
  return isEncodedGap(payload) ? toldAgain(streamId, JSON.parse(payload) as Gap) : [];
}
