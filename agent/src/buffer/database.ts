/** The buffer's database file: opened, checked, locked, set aside when it is damaged; its errors as coded ones. */
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { ensureDirectory } from "@equipoise/shared/directory";
import { EquipoiseError, reasonOf, systemCode } from "@equipoise/shared/errors";
import Sqlite from "better-sqlite3";

/** Databases up to this size are checked as a whole when opened; the check of a larger one would delay the start. */
const maxCheckedBytes = 64 * 2 ** 20;
const maxWalBytes = 16 * 2 ** 20;
const synchronousFull = 2;
/** Chunks are written once and read once; more would only take memory. */
const cacheKibibytes = 2_048;

export class Database {
  readonly path: string;
  #db: Sqlite.Database | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** @throws EquipoiseError EQ_STORE_DAMAGED when there is none any more: it was set aside */
  get sqlite(): Sqlite.Database {
    if (this.#db === undefined) throw new EquipoiseError("EQ_STORE_DAMAGED", `${this.path} is set aside`);
    return this.#db;
  }

  /** @returns the version of its schema; 0 for a new one */
  open(): number {
    const db = new Sqlite(this.path, { timeout: 0 });
    this.#db = db;
    db.pragma("locking_mode = EXCLUSIVE");
    return this.pragma("user_version");
  }

  /** @param isNew before its first table; what only takes effect then would still need room on the disk later */
  configure(isNew: boolean): void {
    if (isNew) this.sqlite.pragma("auto_vacuum = INCREMENTAL");
    const mode = this.sqlite.pragma("journal_mode = WAL", { simple: true });
    if (mode !== "wal")
      throw new EquipoiseError("EQ_STORE_FAILED", `${this.path}: no WAL, the mode is ${mode}`);
    this.sqlite.pragma(`journal_size_limit = ${maxWalBytes}`);
    this.sqlite.pragma("synchronous = FULL");
    this.sqlite.pragma(`cache_size = -${cacheKibibytes}`);
  }

  /** @throws SqliteError SQLITE_CORRUPT */
  check(): void {
    checkWhole(this.sqlite);
  }

  /** better-sqlite3 is built so that the first write in WAL mode may set NORMAL; a power cut would then lose commits. */
  verifySynchronous(writeAgain: () => void): void {
    if (this.pragma("synchronous") !== synchronousFull) {
      this.sqlite.pragma("synchronous = FULL");
      writeAgain(); // its fsync covers what was just committed
    }
    if (this.pragma("synchronous") !== synchronousFull) {
      throw new EquipoiseError("EQ_STORE_FAILED", `${this.path}: synchronous=FULL does not hold`);
    }
  }

  pragma(name: string): number {
    return Number(this.sqlite.pragma(name, { simple: true }));
  }

  get usedBytes(): number {
    return (this.pragma("page_count") - this.pragma("freelist_count")) * this.pragma("page_size");
  }

  /** Pages within the file that may be written without it growing. */
  get freeBytes(): number {
    return this.pragma("freelist_count") * this.pragma("page_size");
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  /** Puts a damaged database out of the way. @returns its new path @throws EquipoiseError EQ_DATA_DIR_UNUSABLE */
  setAside(wallMs: number): string {
    this.close();
    const time = new Date(wallMs).toISOString().replaceAll(":", "");
    let aside = `${this.path}.damaged-${time}`;
    for (let number = 2; existsSync(aside); number += 1) aside = `${this.path}.damaged-${time}-${number}`;
    try {
      for (const suffix of ["-wal", "-shm", "-journal", ""]) {
        if (existsSync(this.path + suffix)) renameSync(this.path + suffix, aside + suffix);
      }
    } catch (error) {
      const reason = `${this.path} is damaged and cannot be set aside: ${reasonOf(error)}`;
      throw new EquipoiseError("EQ_DATA_DIR_UNUSABLE", reason, { cause: error });
    }
    return aside;
  }

  /** A thrown value as a coded error; one that means damage sets the database aside. */
  coded(error: unknown, wallMs: number): unknown {
    const code = systemCode(error);
    if (error instanceof EquipoiseError || !code?.startsWith("SQLITE_")) return error;
    const reason = `${this.path}: ${reasonOf(error)}`;
    if (isDamage(error)) {
      const aside = this.setAside(wallMs);
      return new EquipoiseError("EQ_STORE_DAMAGED", `${reason}; set aside as ${aside}`, { cause: error });
    }
    if (code === "SQLITE_FULL") return new EquipoiseError("EQ_STORE_FULL", reason, { cause: error });
    // IOERR_LOCK is what a file answers that this user may only read.
    if (/^SQLITE_(CANTOPEN|READONLY|PERM|AUTH|IOERR_LOCK)/.test(code)) {
      return new EquipoiseError("EQ_DATA_DIR_UNUSABLE", `${reason} (${code})`, { cause: error });
    }
    if (/^SQLITE_(IOERR|BUSY|NOMEM|PROTOCOL)/.test(code)) {
      return new EquipoiseError("EQ_STORE_FAILED", `${reason} (${code})`, { cause: error });
    }
    return error;
  }
}

/** @returns false when it is too large to be checked @throws SqliteError SQLITE_CORRUPT */
export function checkWhole(db: Sqlite.Database): boolean {
  const number = (pragma: string): number => Number(db.pragma(pragma, { simple: true }));
  if (number("page_count") * number("page_size") > maxCheckedBytes) return false;
  const result = db.pragma("quick_check(1)", { simple: true });
  if (result !== "ok") throw new Sqlite.SqliteError(String(result), "SQLITE_CORRUPT");
  return true;
}

export function lockDirectory(directory: string): Sqlite.Database {
  try {
    ensureDirectory(directory);
    const lock = new Sqlite(join(directory, "lock.db"), { timeout: 0 });
    lock.pragma("journal_mode = MEMORY"); // nothing is written: a full disk must not keep the agent from its ticks
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    const busy = systemCode(error)?.startsWith("SQLITE_BUSY") === true;
    const code = busy ? "EQ_DATA_DIR_BUSY" : "EQ_DATA_DIR_UNUSABLE";
    throw new EquipoiseError(code, `${directory}: ${reasonOf(error)}`, { cause: error });
  }
}

export function isDamage(error: unknown): boolean {
  const code = systemCode(error) ?? "";
  return code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB";
}
