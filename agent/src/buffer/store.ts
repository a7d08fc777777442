/**
 * The buffer's database. It lives in a thread of its own, because every commit waits for the disk.
 *
 * Constraints: a sequence number may leave the device only when it is durably reserved, so none is ever used for two
 * ticks; a tick that the broker has acknowledged need never have been here. What is here and not known as acknowledged
 * is sent again after a restart; what is acknowledged stays for a while, for those who ask for it again.
 *
 * On disk, in the data directory:
 *   lock.db                   empty; an exclusive SQLite lock on it is the directory's owner. The system releases it
 *                             with the process, so it cannot go stale.
 *   buffer.db, buffer.db-wal  chunk: consecutive ticks in order of arrival, compressed (see chunk.ts), with their numbers
 *                             and once more the gap records among them (see chunk-gaps.ts), all with checksums;
 *                             stream(id, venue, symbol, seq, reserved, mark): the last number given to a tick of a
 *                             commit, the last that may have been given to one since, and how far the venue was read;
 *                             lost(stream, from_seq, to_seq, reason, missing): what a gap record has to tell of (see retold.ts);
 *                             signpost(first, numbers): where a search begins (see signposts.ts);
 *                             meta(epoch, agent, uptime_ms, done, forgotten_seq, earlier_epoch): one row; `done` are the
 *                             positions that need not be sent any more, as ranges.
 *   buffer.spare              room for what must be written on a full disk, see spare-room.ts.
 *   buffer.db.damaged-TIME    a damaged database that was set aside.
 *
 * Recovery: SQLite replays the WAL. A stream whose `reserved` is beyond its `seq` goes on behind `reserved`, with a gap
 * record about the numbers in between. A database that fails its check is set aside and a new one begun, with a new
 * epoch and what can be salvaged (see salvage.ts); one that shows its damage while the agent runs is continued by a new one in the same epoch, because then every
 * number given is known. A chunk that fails its checksum is deleted and its numbers become lost, and what its gap records told.
 */
import { join } from "node:path";
import { EquipoiseError, systemCode } from "@equipoise/shared/errors";
import type Sqlite from "better-sqlite3";
import { type Beginning, beginDatabase } from "./beginning.ts";
import { type Chunk, encodeRanges, encodeRecords, type SeqRange } from "./chunk.ts";
import { encodeGaps, lostWithDamaged } from "./chunk-gaps.ts";
import { chunksWith, recordsWithin } from "./chunk-search.ts";
import { Database, isDamage, lockDirectory } from "./database.ts";
import { epochAfter } from "./epoch.ts";
import { holeAt } from "./holes.ts";
import { Losses } from "./losses.ts";
import { Positions } from "./positions.ts";
import {
  type Commit,
  type Committed,
  type DamagedPage,
  databaseName,
  type LostRange,
  type Opened,
  type Page,
  type StoredStream,
  type StoreOptions,
  spareName,
} from "./protocol.ts";
import { salvage } from "./salvage.ts";
import {
  type FullChunkRow,
  type MetaRow,
  prepareStatements,
  type Statements,
  schemaVersion,
} from "./schema.ts";
import { setAsidePaths, trimSetAside } from "./set-aside-files.ts";
import { Signposts } from "./signposts.ts";
import { SpareRoom } from "./spare-room.ts";
import { storedChunk } from "./stored-chunk.ts";
import { Trimmer } from "./trimmer.ts";
import { endOf, unsent } from "./unsent.ts";
import { upgrade } from "./upgrade.ts";

/** Free pages are given back to the system when there are more than this, so many per commit. */
const spareFreePages = 2_048;
const vacuumPages = 256;

interface Ready {
  statements: Statements;
  losses: Losses;
  trimmer: Trimmer;
  signposts: Signposts;
}

export class Store {
  readonly #options: StoreOptions;
  readonly #database: Database;
  readonly #spare: SpareRoom;
  #lock: Sqlite.Database | undefined;
  #opened: Ready | undefined;
  #verified = false;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#database = new Database(join(options.directory, databaseName));
    this.#spare = new SpareRoom(join(options.directory, spareName));
  }

  /**
   * @throws EquipoiseError EQ_DATA_DIR_UNUSABLE, EQ_DATA_DIR_BUSY, EQ_STORE_NEWER, EQ_AGENT_ID_CHANGED, EQ_STORE_FAILED,
   * EQ_STORE_FULL
   */
  open(): Opened {
    this.#lock = lockDirectory(this.#options.directory);
    try {
      return this.#openDatabase(undefined);
    } catch (error) {
      if (!isDamage(error)) throw this.#coded(error);
    }
    const setAside = this.#database.setAside(this.#options.wallMs);
    try {
      return this.#openDatabase(setAside);
    } catch (error) {
      throw this.#coded(error);
    }
  }

  /** One transaction. @throws EquipoiseError EQ_STORE_FULL, EQ_STORE_FAILED (nothing was changed), EQ_STORE_DAMAGED */
  commit(commit: Commit): Committed {
    try {
      if (commit.isVital) this.#vital(() => this.#transact(commit));
      else this.#transact(commit);
      const { losses, trimmer } = this.#ready;
      return {
        usedBytes: this.#database.usedBytes,
        oldest: this.#ready.statements.chunkFrom.get(0)?.first,
        diskLow: trimmer.isDiskLow(commit.bounds?.minFreeDiskBytes ?? 0),
        evicted: trimmer.takeEvicted(),
        lost: losses.all(),
      };
    } catch (error) {
      throw this.#coded(error);
    }
  }

  /**
   * The chunk with the position, or the next one in the direction; undefined when there is none. Where a chunk should be
   * and is not, the positions that are missing.
   * @throws EquipoiseError EQ_STORE_DAMAGED, EQ_STORE_FAILED, EQ_STORE_FULL when a loss cannot be written down
   */
  read(position: number, direction: "up" | "down"): Page | DamagedPage | undefined {
    try {
      const { fullChunkUpTo, fullChunkFrom } = this.#ready.statements;
      const below = fullChunkUpTo.get(position);
      const holds = below !== undefined && below.first + below.count > position;
      const hole = holds ? undefined : holeAt(this.#ready.statements, position);
      if (hole !== undefined) return this.#lose(hole.extent, () => hole.lost);
      const row = holds || direction === "down" ? below : fullChunkFrom.get(position);
      return row === undefined ? undefined : this.#page(row);
    } catch (error) {
      throw this.#coded(error);
    }
  }

  /** Records of a stream, in order, at most `limit`. @throws EquipoiseError EQ_STORE_DAMAGED, EQ_STORE_FAILED */
  range(wanted: SeqRange, limit: number): string[] {
    try {
      const { statements } = this.#ready;
      const payloads: string[] = [];
      for (const first of chunksWith(statements, wanted)) {
        const row = statements.fullChunk.get(first);
        if (row !== undefined) payloads.push(...recordsWithin(row, wanted, limit - payloads.length));
        if (payloads.length >= limit) break;
      }
      return payloads;
    } catch (error) {
      throw this.#coded(error);
    }
  }

  /**
   * @param clean every number that was given is in a commit, so the reserved ones can be given back
   * @returns whether they were: not on a disk that takes nothing at all
   */
  close(clean = false): boolean {
    try {
      return clean && this.#opened !== undefined && this.#release(this.#opened.statements);
    } finally {
      this.#database.close();
      this.#lock?.close();
    }
  }

  #release({ release }: Statements): boolean {
    try {
      this.#vital(() => release.run());
      return true;
    } catch (error) {
      const coded = this.#coded(error);
      if (coded instanceof EquipoiseError) return false;
      throw coded;
    }
  }

  /** On a full disk in the room that is kept for it. */
  #vital(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (systemCode(error) !== "SQLITE_FULL") throw error;
      this.#spare.lend(work);
    }
  }

  /** The `synchronous` level in force, read from the database: 2 is FULL. */
  synchronous(): number {
    return this.#database.pragma("synchronous");
  }

  get #ready(): Ready {
    if (this.#database.sqlite === undefined || this.#opened === undefined)
      throw new Error("the store is not open");
    return this.#opened;
  }

  #coded(error: unknown): unknown {
    return this.#database.coded(error, this.#options.wallMs);
  }

  #openDatabase(setAside: string | undefined): Opened {
    const found = this.#database.open();
    if (found > schemaVersion) {
      const detail = `${this.#database.path} has version ${found}; this program knows ${schemaVersion}`;
      throw new EquipoiseError("EQ_STORE_NEWER", detail);
    }
    const db = this.#database.sqlite;
    this.#database.configure(found === 0);
    if (found === 0) beginDatabase(db, this.#beginning(setAside));
    this.#database.check();
    if (found !== 0) upgrade(db, found);
    const statements = prepareStatements(db);
    this.#adopt(statements);
    const meta = statements.readMeta.get() as MetaRow;
    const done = JSON.parse(meta.done) as number[];
    const losses = new Losses(statements);
    const trimmer = new Trimmer(this.#database, statements, losses);
    // What was not rescued is not here, whether it is acknowledged or not.
    const absent = new Positions(this.#options.continued?.done);
    if (found === 0) for (const [from, to] of absent.ranges) trimmer.lose(from, to);
    this.#opened = { statements, losses, trimmer, signposts: new Signposts(statements) };
    this.#verified = false;
    this.#spare.make();
    return {
      epoch: meta.epoch,
      earlierEpoch: meta.earlier_epoch,
      forgottenSeq: meta.forgotten_seq,
      streams: statements.streams.all(),
      done,
      end: endOf(statements.lastChunk.get(), done),
      oldest: statements.chunkFrom.get(0)?.first,
      uptimeMs: meta.uptime_ms,
      lost: losses.all(),
      usedBytes: this.#database.usedBytes,
      setAside,
      setAsideFiles: trimSetAside(this.#options.directory, this.#options.setAsideBounds),
    };
  }

  /** @param setAside what was damaged just now; without it, a start before this one may have been killed behind that */
  #beginning(setAside: string | undefined): Beginning {
    const { directory, agentId: agent, freshEpoch, continued } = this.#options;
    if (continued !== undefined) return { agent, ...continued };
    const { epoch: before, areAllKnown, streams, lost } = salvage(setAside ?? setAsidePaths(directory)[0]);
    const earlierEpoch = areAllKnown ? null : before;
    const epoch = epochAfter(before, freshEpoch);
    return { agent, epoch, earlierEpoch, forgottenSeq: 0, done: [0, 0], streams, lost };
  }

  /** An empty database becomes this agent's with a new epoch; another agent's leftover ticks are not ours to send. */
  #adopt(statements: Statements): void {
    const { agentId, freshEpoch } = this.#options;
    const { agent, epoch, done } = statements.readMeta.get() as MetaRow;
    if (agent === agentId) return;
    const left = unsent(statements.lastChunk.get(), JSON.parse(done) as number[]);
    if (left > 0) {
      const detail = `${this.#database.path} holds ${left} ticks of the agent ${JSON.stringify(agent)}, this is ${JSON.stringify(agentId)}`;
      throw new EquipoiseError("EQ_AGENT_ID_CHANGED", detail);
    }
    this.#database.sqlite.transaction(() => {
      statements.adopt.run(agentId, epochAfter(epoch, freshEpoch));
      this.#database.sqlite.exec(
        "DELETE FROM stream; DELETE FROM chunk; DELETE FROM lost; DELETE FROM signpost",
      );
    })();
  }

  #transact(commit: Commit): void {
    const { statements, losses, trimmer, signposts } = this.#ready;
    this.#inTransaction(() => {
      if (commit.chunk !== undefined) signposts.pass(commit.chunk.first);
      forget(statements, commit.forgotten); // first: one of them may be there again
      for (const stream of commit.streams) putStream(statements, stream);
      if (commit.chunk !== undefined) putChunk(statements, commit.chunk);
      losses.change(commit.dropped, commit.told);
      const { done: acknowledged, bounds } = commit;
      const done =
        bounds === undefined
          ? trimmer.withGone(new Positions(acknowledged))
          : trimmer.trim(acknowledged, bounds);
      losses.coalesce();
      signposts.trim();
      statements.meta.run(commit.uptimeMs, JSON.stringify(done));
    });
    if (!this.#verified) this.#database.verifySynchronous(() => statements.touch.run());
    this.#verified = true;
    this.#vacuum();
  }

  /** What the transaction has noted in memory is undone with it. */
  #inTransaction(work: () => void): void {
    const { trimmer } = this.#ready;
    const undo = trimmer.mark();
    try {
      this.#database.sqlite.transaction(work)();
    } catch (error) {
      undo();
      throw error;
    }
  }

  #page(row: FullChunkRow): Page | DamagedPage {
    const { first, count, uptime_ms: uptimeMs, wall_ms: wallMs } = row;
    const extent = [first, first + count - 1] as const;
    const { ranges, records } = storedChunk(row);
    if (records !== undefined) {
      this.#ready.trimmer.handOut(...extent);
      return { chunk: { first, uptimeMs, wallMs, ranges, ...records }, extent };
    }
    return this.#lose(extent, (done) => {
      this.#ready.statements.deleteChunk.run(first);
      return lostWithDamaged(row, ranges, done);
    });
  }

  /** These positions are not there any more, or never were. */
  #lose(extent: DamagedPage["extent"], lost: (done: Positions) => LostRange[]): DamagedPage {
    const { statements, losses, trimmer } = this.#ready;
    const note = (): void => {
      const { uptime_ms, done } = statements.readMeta.get() as MetaRow;
      const positions = new Positions(JSON.parse(done));
      losses.add(lost(positions));
      trimmer.lose(...extent);
      statements.meta.run(uptime_ms, JSON.stringify(trimmer.withGone(positions)));
    };
    this.#vital(() => this.#inTransaction(note));
    return { extent, lost: losses.all() };
  }

  #vacuum(): void {
    const free = this.#database.pragma("freelist_count");
    if (free > spareFreePages && free > this.#database.pragma("page_count") / 2) {
      this.#database.sqlite.pragma(`incremental_vacuum(${vacuumPages})`);
    }
  }
}

function putStream(
  { stream }: Statements,
  { id, venue, symbol, seq, reserved, mark = "" }: StoredStream,
): void {
  stream.run(id, venue, symbol, seq, reserved, mark);
}

function forget({ deleteStream, forget: raise }: Statements, { ids, seq }: Commit["forgotten"]): void {
  for (const id of ids) deleteStream.run(id);
  if (ids.length > 0) raise.run(seq);
}

function putChunk({ addChunk }: Statements, chunk: Chunk): void {
  const { first, streamIds, uptimeMs, wallMs } = chunk;
  const records = encodeRecords(chunk);
  addChunk.run(
    first,
    streamIds.length,
    records.length,
    uptimeMs,
    wallMs,
    encodeRanges(chunk.ranges),
    encodeGaps(chunk),
    records,
  );
}
