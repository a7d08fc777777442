/**
 * The journal's tables, and everything that touches them. Runs in the journal's worker thread only.
 *
 * Layout: `chunk` holds a turn's frames as one blob; `owed` says which queue has not settled which of its messages
 * (`unsettled` is a bitmap by index, NULL for all). A chunk goes with its last `owed` row. A commit appends chunks and
 * removes settled ones in one transaction, so after a crash a message is either known with everyone it is owed to, or
 * it was never acknowledged. Recovery reads `owed` in chunk order.
 *
 * Durability: WAL with synchronous=FULL, which is set here and read back after the first write, because better-sqlite3
 * is built with a WAL default of NORMAL that only takes hold then. The exclusive lock keeps a second broker out.
 *
 * Full disk: forgetting needs space, too. A reserve is given up when the disk is full; from then on nothing is taken in,
 * settlements are written, and when the reserve can be made again the journal is as before.
 */
import { existsSync, renameSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { EquipoiseError, ensureDirectory, reasonOf, systemCode } from "@equipoise/shared";
import Database from "better-sqlite3";
import { Reserve } from "./reserve.ts";
import { forgetOrphans, migrate, schemaVersion } from "./schema.ts";

export interface OwedRow {
  queue: number;
  chunk: number;
  count: number;
  byteLength: number;
  /** A queue has one row for each of its filters that matched: they may differ in QoS. */
  part: number;
  /** Highest QoS that the queue's receiver was granted. */
  qosCap: number;
  unsettled: Uint8Array | null;
}

/** A queue begins, or ends; in the order in which that happened. */
export interface QueueChange {
  id: number;
  opened: { pool: string; filter: string } | null;
}

export interface QueueRow {
  id: number;
  pool: string;
  filter: string;
}

export interface Append {
  id: number;
  count: number;
  bytes: Uint8Array;
  owed: { queue: number; part: number; qosCap: number; unsettled: Uint8Array | null }[];
}

/** A retained message; without a frame there is none any more. */
export interface RetainedRow {
  topic: string;
  frame: Uint8Array | null;
}

/** A session that outlives its connection, with its subscriptions as JSON; without them it has ended. */
export interface SessionRow {
  clientId: string;
  subscriptions: string | null;
}

/** Everything of one commit. */
export interface Batch {
  queues: QueueChange[];
  appends: Append[];
  /** Slices that are partly settled. */
  updates: { queue: number; chunk: number; part: number; unsettled: Uint8Array | null }[];
  /** Slices that are wholly settled. */
  finished: { queue: number; chunk: number; part: number }[];
  /** Chunks that nobody is owed anything of. */
  unowned: number[];
  retained: RetainedRow[];
  sessions: SessionRow[];
}

export interface Recovered {
  queues: QueueRow[];
  owed: OwedRow[];
  retained: RetainedRow[];
  sessions: SessionRow[];
  lastChunk: number;
  /** Where a damaged file was put, when there was one. */
  setAside: string | undefined;
}

const fullSync = 2;

/** The write-ahead log is brought into the database at this size, or at less on a small disk. */
const maxLogBytes = 4_194_304;
const logShareOfDisk = 1 / 32;
/** A larger file is not checked at the start: that would take longer than a second. */
const maxCheckedBytes = 67_108_864;
/** How often free pages are looked at, and from how many on they are given back. */
const vacuumAfterChunks = 512;
const leastFreePages = 1_024;
/** Pages given back in one go when the disk is full. */
const shrinkPages = 2_048;

export class SqliteStore {
  readonly #path: string;
  #reserve: Reserve | undefined;
  /** The reserve is in use: nothing is taken in, what is settled is still written. */
  #full = false;
  /** Chunks removed since free pages were last looked at. */
  #freed = 0;
  #db: Database.Database | undefined;
  #statements: ReturnType<typeof prepare> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens or creates the file; a damaged one is set aside first.
   * @throws EquipoiseError EQ_DATA_DIR_UNUSABLE, EQ_DATA_DIR_BUSY, EQ_STORE_NEWER, EQ_STORE_FULL, EQ_STORE_FAILED
   */
  open(now: string): Recovered {
    try {
      ensureDirectory(dirname(this.#path));
      return this.#openOnce(undefined);
    } catch (error) {
      this.#db?.close();
      if (!isDamage(error)) throw asEquipoise(error, this.#path);
    }
    const setAside = `${this.#path}.damaged-${now}`;
    try {
      for (const suffix of ["", "-wal", "-shm"]) {
        if (existsSync(this.#path + suffix)) renameSync(this.#path + suffix, setAside + suffix);
      }
      return this.#openOnce(setAside);
    } catch (error) {
      throw asEquipoise(error, this.#path);
    }
  }

  #openOnce(setAside: string | undefined): Recovered {
    const db = new Database(this.#path, { timeout: 0 });
    this.#db = db;
    db.pragma("locking_mode = EXCLUSIVE");
    db.pragma("auto_vacuum = INCREMENTAL");
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    const logBytes = logBytesFor(dirname(this.#path));
    const pageBytes = db.pragma("page_size", { simple: true }) as number;
    db.pragma(`wal_autocheckpoint = ${Math.max(16, Math.floor(logBytes / pageBytes))}`);
    db.pragma(`journal_size_limit = ${logBytes}`);
    requireSound(db, this.#path);
    migrate(db, this.#path);
    this.#reserve = new Reserve(`${this.#path}.reserve`, 2 * logBytes);
    this.#full = !this.#reserve.take();
    // The first write: it takes the exclusive lock and makes SQLite settle on a synchronous level.
    db.transaction(() => {
      db.pragma(`user_version = ${schemaVersion}`);
      db.exec(forgetOrphans);
    }).immediate();
    this.#requireFullSync(db);
    this.#statements = prepare(db);
    const owed = this.#statements.allOwed.all() as OwedRow[];
    const queues = this.#statements.allQueues.all() as QueueRow[];
    const retained = this.#statements.allRetained.all() as RetainedRow[];
    const sessions = this.#statements.allSessions.all() as SessionRow[];
    const { last } = this.#statements.lastChunk.get() as { last: number };
    return { queues, owed, retained, sessions, lastChunk: last, setAside };
  }

  #requireFullSync(db: Database.Database): void {
    if (db.pragma("synchronous", { simple: true }) === fullSync) return;
    db.pragma("synchronous = FULL");
    if (db.pragma("synchronous", { simple: true }) === fullSync) return;
    throw new EquipoiseError("EQ_STORE_FAILED", `${this.#path}: SQLite does not accept synchronous=FULL`);
  }

  /**
   * Writes a whole batch or nothing of its appends.
   * @throws EquipoiseError EQ_STORE_FULL, EQ_STORE_FAILED
   */
  commit(batch: Batch): void {
    if (this.#full && batch.appends.length > 0) {
      this.#shrink();
      this.#full = this.#reserve?.take() !== true;
      if (this.#full) return this.#refuse(batch);
    }
    try {
      this.#write(batch);
    } catch (error) {
      const failure = asEquipoise(error, this.#path);
      if (failure.code !== "EQ_STORE_FULL" || this.#full) throw failure;
      this.#useReserve();
      this.#refuse(batch);
    }
  }

  #write(batch: Batch): void {
    const { db, statements } = this.#opened;
    db.transaction(() => write(statements, batch))();
    this.#freed += batch.unowned.length;
    if (this.#freed >= vacuumAfterChunks) this.#vacuum();
  }

  /** Gives pages back that are free by the surplus of a backlog; those in steady use stay for the next chunks. */
  #vacuum(): void {
    this.#freed = 0;
    const { db } = this.#opened;
    const free = db.pragma("freelist_count", { simple: true }) as number;
    const all = db.pragma("page_count", { simple: true }) as number;
    // A transaction of its own, with an fsync: only where it is worth one.
    if (free > leastFreePages && free * 2 > all) db.pragma(`incremental_vacuum(${Math.ceil(free / 4)})`);
  }

  /** Brings the log into the database, so that it begins anew and there is room for settlements. */
  #useReserve(): void {
    this.#full = true;
    this.#reserve?.free();
    this.#opened.db.pragma("wal_checkpoint(TRUNCATE)");
  }

  /** Gives the pages of what is settled back to the disk, a part at a time. */
  #shrink(): void {
    const { db } = this.#opened;
    if (db.pragma("freelist_count", { simple: true }) === 0) return;
    db.pragma(`incremental_vacuum(${shrinkPages})`);
    db.pragma("wal_checkpoint(TRUNCATE)");
  }

  /** Takes in nothing, and writes what makes room: the same again with the next batch does no harm. */
  #refuse(batch: Batch): never {
    try {
      this.#write({ ...batch, appends: [], queues: [] });
    } catch (error) {
      throw asEquipoise(error, this.#path);
    }
    throw new EquipoiseError(
      "EQ_STORE_FULL",
      `${this.#path}: only ${this.#reserve?.bytes} bytes were left, kept for settlements`,
    );
  }

  /** The frames of chunks; null for one that is damaged or missing. @throws EquipoiseError EQ_STORE_FAILED */
  read(ids: readonly number[]): (Uint8Array | null)[] {
    const { statements } = this.#opened;
    return ids.map((id) => {
      try {
        const row = statements.frames.get(id) as { frames: Uint8Array } | undefined;
        return row?.frames ?? null;
      } catch (error) {
        if (isDamage(error)) return null;
        throw asEquipoise(error, this.#path);
      }
    });
  }

  /** The synchronous level in force: 2 is FULL. */
  synchronousLevel(): unknown {
    return this.#opened.db.pragma("synchronous", { simple: true });
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  get #opened() {
    if (this.#db === undefined || this.#statements === undefined) throw new Error("the journal is not open");
    return { db: this.#db, statements: this.#statements };
  }
}

/** In proportion to the disk, because the reserve is as well. */
function logBytesFor(directory: string): number {
  const { blocks, bsize } = statfsSync(directory);
  return Math.min(maxLogBytes, Math.floor(blocks * bsize * logShareOfDisk));
}

/** Looks through a file that is not too large for it; a damaged page in a larger one shows when it is read. */
function requireSound(db: Database.Database, path: string): void {
  if (statSync(path).size > maxCheckedBytes) return;
  const found = db.pragma("quick_check(1)", { simple: true });
  if (found !== "ok") throw Object.assign(new Error(String(found)), { code: "SQLITE_CORRUPT" });
}

function prepare(db: Database.Database) {
  return {
    openQueue: db.prepare("INSERT INTO queue (id, pool, filter) VALUES (?, ?, ?)"),
    closeQueue: db.prepare("DELETE FROM queue WHERE id = ?"),
    addChunk: db.prepare("INSERT INTO chunk (id, count, frames) VALUES (?, ?, ?)"),
    removeChunk: db.prepare("DELETE FROM chunk WHERE id = ?"),
    addOwed: db.prepare("INSERT INTO owed (chunk, queue, part, qos_cap, unsettled) VALUES (?, ?, ?, ?, ?)"),
    updateOwed: db.prepare("UPDATE owed SET unsettled = ? WHERE chunk = ? AND queue = ? AND part = ?"),
    removeOwed: db.prepare("DELETE FROM owed WHERE chunk = ? AND queue = ? AND part = ?"),
    retain: db.prepare(
      "INSERT INTO retained (topic, frame) VALUES (?, ?) ON CONFLICT DO UPDATE SET frame = excluded.frame",
    ),
    unretain: db.prepare("DELETE FROM retained WHERE topic = ?"),
    keepSession: db.prepare(
      "INSERT INTO session (client_id, subscriptions) VALUES (?, ?) ON CONFLICT DO UPDATE SET subscriptions = excluded.subscriptions",
    ),
    endSession: db.prepare("DELETE FROM session WHERE client_id = ?"),
    allRetained: db.prepare("SELECT topic, frame FROM retained"),
    allSessions: db.prepare("SELECT client_id AS clientId, subscriptions FROM session"),
    frames: db.prepare("SELECT frames FROM chunk WHERE id = ?"),
    allQueues: db.prepare("SELECT id, pool, filter FROM queue ORDER BY id"),
    allOwed: db.prepare(
      "SELECT queue, chunk, count, length(frames) AS byteLength, part, qos_cap AS qosCap, unsettled FROM owed JOIN chunk ON chunk.id = chunk ORDER BY chunk, part",
    ),
    lastChunk: db.prepare("SELECT coalesce(max(id), -1) AS last FROM chunk"),
  };
}

function write(statements: ReturnType<typeof prepare>, batch: Batch): void {
  for (const { id, opened } of batch.queues) {
    if (opened === null) statements.closeQueue.run(id);
    else statements.openQueue.run(id, opened.pool, opened.filter);
  }
  for (const { id, count, bytes, owed } of batch.appends) {
    statements.addChunk.run(id, count, bytes);
    for (const { queue, part, qosCap, unsettled } of owed) {
      statements.addOwed.run(id, queue, part, qosCap, unsettled);
    }
  }
  for (const { queue, chunk, part, unsettled } of batch.updates) {
    statements.updateOwed.run(unsettled, chunk, queue, part);
  }
  for (const { queue, chunk, part } of batch.finished) statements.removeOwed.run(chunk, queue, part);
  for (const chunk of batch.unowned) statements.removeChunk.run(chunk);
  for (const { topic, frame } of batch.retained) {
    if (frame === null) statements.unretain.run(topic);
    else statements.retain.run(topic, frame);
  }
  for (const { clientId, subscriptions } of batch.sessions) {
    if (subscriptions === null) statements.endSession.run(clientId);
    else statements.keepSession.run(clientId, subscriptions);
  }
}

function isDamage(error: unknown): boolean {
  const code = systemCode(error);
  return code === "SQLITE_NOTADB" || (code?.startsWith("SQLITE_CORRUPT") ?? false);
}

function asEquipoise(error: unknown, path: string): EquipoiseError {
  if (error instanceof EquipoiseError) return error;
  const code = systemCode(error) ?? "";
  const detail = `${path}: ${reasonOf(error)}`;
  if (code === "SQLITE_FULL" || code === "ENOSPC")
    return new EquipoiseError("EQ_STORE_FULL", detail, { cause: error });
  if (code.startsWith("SQLITE_BUSY"))
    return new EquipoiseError("EQ_DATA_DIR_BUSY", dirname(path), { cause: error });
  const unusable =
    code.startsWith("SQLITE_CANTOPEN") || code.startsWith("SQLITE_READONLY") || /^E[A-Z]+$/.test(code);
  return new EquipoiseError(unusable ? "EQ_DATA_DIR_UNUSABLE" : "EQ_STORE_FAILED", detail, { cause: error });
}
