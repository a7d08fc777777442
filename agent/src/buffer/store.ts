/**
 * The buffer's database. It lives in a thread of its own, because every commit waits for the disk.
 *
 * Constraints: a tick is published only after its commit, so a sequence number that anybody has seen is on the disk
 * and a restart provably continues the epoch. A tick is deleted only after its acknowledgement. Nothing else is kept.
 *
 * On disk, in the data directory:
 *   lock.db                   empty; an exclusive SQLite lock on it is the directory's owner. The system releases it
 *                             with the process, so it cannot go stale.
 *   buffer.db, buffer.db-wal  tick(position, stream, time_ms, payload): the records as they go out, in order of arrival,
 *                             positions without holes, deleted only from the front;
 *                             stream(id, venue, symbol, seq): the last sequence number given, durable in the same
 *                             transaction as its ticks; meta(epoch, agent): one row.
 *   buffer.db.damaged-TIME    a damaged database that was set aside.
 *
 * Recovery: SQLite replays the WAL; ticks that were sent but not known as acknowledged are simply still there and are
 * sent again. A database that fails its check is set aside and a new one begun, with a new epoch.
 */
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { ensureDirectory } from "@equipoise/shared/directory";
import { EquipoiseError, reasonOf, systemCode } from "@equipoise/shared/errors";
import Database from "better-sqlite3";
import { epochAfter } from "./epoch.ts";
import type { Commit, Opened, Page, StoredStream, StoreOptions } from "./protocol.ts";

const schemaVersion = 1;
const synchronousFull = 2;
/** Databases up to this size are checked as a whole when opened; the check of a larger one would delay the start. */
const maxCheckedBytes = 64 * 2 ** 20;
const maxWalBytes = 16 * 2 ** 20;
/** Free pages are given back to the system when there are more than this, so many per commit. */
const spareFreePages = 2_048;
const vacuumPages = 256;

const schema = `
  CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, agent TEXT NOT NULL) STRICT;
  CREATE TABLE stream (
    id INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL, seq INTEGER NOT NULL, UNIQUE (venue, symbol)
  ) STRICT;
  CREATE TABLE tick (
    position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, time_ms INTEGER NOT NULL, payload TEXT NOT NULL
  ) STRICT;
  PRAGMA user_version = ${schemaVersion};
`;

export class Store {
  readonly #options: StoreOptions;
  readonly #path: string;
  #lock: Database.Database | undefined;
  #db: Database.Database | undefined;
  #statements: ReturnType<typeof prepare> | undefined;
  #verified = false;
  #previousEpoch = "";

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#path = join(options.directory, "buffer.db");
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
    this.#previousEpoch = this.#readEpoch();
    const setAside = this.#setAside();
    try {
      return this.#openDatabase(setAside);
    } catch (error) {
      throw this.#coded(error);
    }
  }

  /** One transaction. @throws EquipoiseError EQ_STORE_FULL, EQ_STORE_FAILED (nothing was changed), EQ_STORE_DAMAGED */
  commit(commit: Commit): number {
    try {
      this.#transact(commit);
      if (!this.#verified) this.#verify();
    } catch (error) {
      if (systemCode(error) === "SQLITE_FULL") this.#settleAlone(commit.settled);
      throw this.#coded(error);
    }
    return this.#usedBytes();
  }

  /** Up to `limit` ticks from a position on. @throws EquipoiseError EQ_STORE_DAMAGED, EQ_STORE_FAILED */
  read(from: number, limit: number): Page {
    try {
      const rows = this.#ready.read.all(from, limit) as [number, number, number, string][];
      return {
        first: rows[0]?.[0] ?? from,
        streamIds: Uint32Array.from(rows, ([, stream]) => stream),
        bufferedTimesMs: Float64Array.from(rows, ([, , timeMs]) => timeMs),
        payloads: rows.map(([, , , payload]) => payload),
      };
    } catch (error) {
      throw this.#coded(error);
    }
  }

  close(): void {
    this.#db?.close();
    this.#lock?.close();
  }

  /** The `synchronous` level in force, read from the database: 2 is FULL. */
  synchronous(): number {
    return Number(this.#db?.pragma("synchronous", { simple: true }));
  }

  /** Puts a damaged database out of the way. @returns its new path */
  #setAside(): string {
    this.#db?.close();
    this.#db = undefined;
    const aside = `${this.#path}.damaged-${new Date(this.#options.wallMs).toISOString().replaceAll(":", "")}`;
    try {
      for (const suffix of ["-wal", "-shm", "-journal", ""]) {
        if (existsSync(this.#path + suffix)) renameSync(this.#path + suffix, aside + suffix);
      }
    } catch (error) {
      const reason = `${this.#path} is damaged and cannot be set aside: ${reasonOf(error)}`;
      throw new EquipoiseError("EQ_DATA_DIR_UNUSABLE", reason, { cause: error });
    }
    return aside;
  }

  /** A thrown value as a coded error; one that means damage sets the database aside. */
  #coded(error: unknown): unknown {
    const code = systemCode(error);
    if (error instanceof EquipoiseError || !code?.startsWith("SQLITE_")) return error;
    const reason = `${this.#path}: ${reasonOf(error)}`;
    if (isDamage(error)) {
      return new EquipoiseError("EQ_STORE_DAMAGED", `${reason}; set aside as ${this.#setAside()}`, {
        cause: error,
      });
    }
    if (code === "SQLITE_FULL") return new EquipoiseError("EQ_STORE_FULL", reason, { cause: error });
    if (/^SQLITE_(IOERR|BUSY|NOMEM|PROTOCOL)/.test(code)) {
      return new EquipoiseError("EQ_STORE_FAILED", `${reason} (${code})`, { cause: error });
    }
    if (/^SQLITE_(CANTOPEN|READONLY|PERM|AUTH)/.test(code)) {
      return new EquipoiseError("EQ_DATA_DIR_UNUSABLE", `${reason} (${code})`, { cause: error });
    }
    return error;
  }

  get #ready(): ReturnType<typeof prepare> {
    if (this.#statements === undefined) throw new Error("the store is not open");
    return this.#statements;
  }

  #openDatabase(setAside: string | undefined): Opened {
    const db = new Database(this.#path, { timeout: 0 });
    this.#db = db;
    db.pragma("locking_mode = EXCLUSIVE");
    const found = Number(db.pragma("user_version", { simple: true }));
    if (found > schemaVersion) {
      const detail = `${this.#path} has version ${found}; this program knows ${schemaVersion}`;
      throw new EquipoiseError("EQ_STORE_NEWER", detail);
    }
    configure(db);
    if (found === 0)
      begin(db, this.#options.agentId, epochAfter(this.#previousEpoch, this.#options.freshEpoch));
    check(db);
    this.#statements = prepare(db);
    this.#adopt(db);
    const streams = db.prepare("SELECT id, venue, symbol, seq FROM stream").all() as StoredStream[];
    return { epoch: epochOf(db), streams, ...this.#extent(db), usedBytes: this.#usedBytes(), setAside };
  }

  /** An empty database becomes this agent's with a new epoch; another agent's leftover ticks are not ours to send. */
  #adopt(db: Database.Database): void {
    const { agentId, freshEpoch } = this.#options;
    const { agent } = db.prepare("SELECT agent FROM meta").get() as { agent: string };
    if (agent === agentId) return;
    const { begin, end } = this.#extent(db);
    if (begin !== end) {
      const detail = `${this.#path} holds ${end - begin} ticks of the agent ${JSON.stringify(agent)}, this is ${JSON.stringify(agentId)}`;
      throw new EquipoiseError("EQ_AGENT_ID_CHANGED", detail);
    }
    db.transaction(() => {
      db.prepare("UPDATE meta SET agent = ?, epoch = ?").run(agentId, epochAfter(epochOf(db), freshEpoch));
      db.prepare("DELETE FROM stream").run();
    })();
  }

  /** Of a damaged database, where it can still be read: the next epoch must sort behind it. */
  #readEpoch(): string {
    try {
      return this.#db === undefined ? "" : epochOf(this.#db);
    } catch (error) {
      if (systemCode(error)?.startsWith("SQLITE_")) return "";
      throw error;
    }
  }

  #extent(db: Database.Database): { begin: number; end: number } {
    const select = "SELECT min(position) AS begin, max(position) + 1 AS end FROM tick";
    const { begin, end } = db.prepare(select).get() as { begin: number | null; end: number | null };
    return { begin: begin ?? 1, end: end ?? 1 };
  }

  #transact(commit: Commit): void {
    const { tick, stream } = this.#ready;
    const { payloads, streamIds, bufferedTimeMs, settled } = commit;
    this.#inTransaction(() => {
      for (const { id, venue, symbol, seq } of commit.streams) stream.run(id, venue, symbol, seq);
      let start = 0;
      for (const [index, streamId] of streamIds.entries()) {
        const end = payloads.indexOf("\n", start);
        tick.run(commit.first + index, streamId, bufferedTimeMs, payloads.slice(start, end));
        start = end + 1;
      }
      this.#ready.settle.run(settled);
    });
    this.#vacuum();
  }

  /** better-sqlite3 is built so that the first write in WAL mode may set NORMAL; a power cut would then lose commits. */
  #verify(): void {
    if (this.synchronous() !== synchronousFull) {
      this.#ready.db.pragma("synchronous = FULL");
      this.#ready.db.prepare("UPDATE meta SET id = 1").run(); // its fsync covers what was just committed
    }
    if (this.synchronous() !== synchronousFull) {
      throw new EquipoiseError("EQ_STORE_FAILED", `${this.#path}: synchronous=FULL does not hold`);
    }
    this.#verified = true;
  }

  /** On a full disk deleting may succeed where adding does not, and makes the room. */
  #settleAlone(settled: number): void {
    try {
      this.#inTransaction(() => this.#ready.settle.run(settled));
    } catch (error) {
      if (systemCode(error) !== "SQLITE_FULL") throw this.#coded(error);
    }
  }

  #inTransaction(work: () => void): void {
    this.#db?.transaction(work)();
  }

  #usedBytes(): number {
    const pages = this.#pragma("page_count") - this.#pragma("freelist_count");
    return pages * this.#pragma("page_size");
  }

  #vacuum(): void {
    const free = this.#pragma("freelist_count");
    if (free > spareFreePages && free > this.#pragma("page_count") / 2) {
      this.#db?.pragma(`incremental_vacuum(${vacuumPages})`);
    }
  }

  #pragma(name: string): number {
    return Number(this.#db?.pragma(name, { simple: true }));
  }
}

function lockDirectory(directory: string): Database.Database {
  try {
    ensureDirectory(directory);
    const lock = new Database(join(directory, "lock.db"), { timeout: 0 });
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    const busy = systemCode(error)?.startsWith("SQLITE_BUSY") === true;
    const code = busy ? "EQ_DATA_DIR_BUSY" : "EQ_DATA_DIR_UNUSABLE";
    throw new EquipoiseError(code, `${directory}: ${reasonOf(error)}`, { cause: error });
  }
}

function configure(db: Database.Database): void {
  db.pragma("auto_vacuum = INCREMENTAL"); // takes effect only before the first table
  const mode = db.pragma("journal_mode = WAL", { simple: true });
  if (mode !== "wal") throw new EquipoiseError("EQ_STORE_FAILED", `${db.name}: no WAL, the mode is ${mode}`);
  db.pragma(`journal_size_limit = ${maxWalBytes}`);
  db.pragma("synchronous = FULL");
}

function begin(db: Database.Database, agentId: string, epoch: string): void {
  db.transaction(() => {
    db.exec(schema);
    db.prepare("INSERT INTO meta (id, epoch, agent) VALUES (1, ?, ?)").run(epoch, agentId);
  })();
}

function epochOf(db: Database.Database): string {
  return (db.prepare("SELECT epoch FROM meta").get() as { epoch: string } | undefined)?.epoch ?? "";
}

function check(db: Database.Database): void {
  const bytes =
    Number(db.pragma("page_count", { simple: true })) * Number(db.pragma("page_size", { simple: true }));
  if (bytes > maxCheckedBytes) return;
  const result = db.pragma("quick_check(1)", { simple: true });
  if (result !== "ok") throw new Database.SqliteError(String(result), "SQLITE_CORRUPT");
}

function prepare(db: Database.Database) {
  return {
    db,
    // A commit may be tried again although its ticks are there, when only what follows them failed.
    tick: db.prepare("INSERT OR REPLACE INTO tick (position, stream, time_ms, payload) VALUES (?, ?, ?, ?)"),
    stream: db.prepare(
      "INSERT INTO stream (id, venue, symbol, seq) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq",
    ),
    settle: db.prepare("DELETE FROM tick WHERE position <= ?"),
    read: db
      .prepare(
        "SELECT position, stream, time_ms, payload FROM tick WHERE position >= ? ORDER BY position LIMIT ?",
      )
      .raw(),
  };
}

function isDamage(error: unknown): boolean {
  const code = systemCode(error) ?? "";
  return code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB";
}
