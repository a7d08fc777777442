/** The tables of the buffer's database, and the statements on them. */
import type Sqlite from "better-sqlite3";
import type { StoredStream } from "./protocol.ts";

export const schemaVersion = 5;

export const signpostTable = `
  CREATE TABLE signpost (first INTEGER PRIMARY KEY, numbers BLOB NOT NULL) STRICT;
`;

export const lostTable = `
  CREATE TABLE lost (
    stream INTEGER NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, reason TEXT NOT NULL,
    missing TEXT NOT NULL, PRIMARY KEY (stream, from_seq, reason, missing)
  ) STRICT, WITHOUT ROWID;
`;

export const tables = `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, agent TEXT NOT NULL,
    uptime_ms REAL NOT NULL, done TEXT NOT NULL, forgotten_seq INTEGER NOT NULL DEFAULT 0,
    earlier_epoch TEXT
  ) STRICT;
  CREATE TABLE stream (
    id INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL, seq INTEGER NOT NULL,
    reserved INTEGER NOT NULL, mark TEXT NOT NULL DEFAULT '', UNIQUE (venue, symbol)
  ) STRICT;
  CREATE TABLE chunk (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, size INTEGER NOT NULL, uptime_ms REAL NOT NULL,
    wall_ms INTEGER NOT NULL, ranges BLOB NOT NULL, gaps BLOB, records BLOB NOT NULL
  ) STRICT;
  ${lostTable}
  ${signpostTable}
  PRAGMA user_version = ${schemaVersion};
`;

export interface MetaRow {
  epoch: string;
  agent: string;
  uptime_ms: number;
  /** JSON, see {@link Positions}. */
  done: string;
  /** See {@link Opened}. */
  forgotten_seq: number;
  earlier_epoch: string | null;
}

/** A row of `chunk` without its records. */
export interface ChunkRow {
  first: number;
  count: number;
  size: number;
  uptime_ms: number;
}

export interface FullChunkRow extends ChunkRow {
  wall_ms: number;
  ranges: Buffer;
  /** See chunk-gaps.ts. */
  gaps: Buffer | null;
  records: Buffer<ArrayBuffer>;
}

export interface LostRow {
  stream: number;
  from_seq: number;
  to_seq: number;
  reason: string;
  /** JSON, see {@link LostRange}; empty for none. */
  missing: string;
}

export interface Statements {
  addChunk: Sqlite.Statement<[number, number, number, number, number, Buffer, Buffer, Buffer]>;
  deleteChunk: Sqlite.Statement<[number]>;
  chunkFrom: Sqlite.Statement<[number], ChunkRow>;
  fullChunk: Sqlite.Statement<[number], FullChunkRow>;
  fullChunkUpTo: Sqlite.Statement<[number], FullChunkRow>;
  fullChunkFrom: Sqlite.Statement<[number], FullChunkRow>;
  /** Of so many chunks from a position on. */
  rangesFrom: Sqlite.Statement<[number, number], { first: number; ranges: Buffer }>;
  /** See signposts.ts. */
  signpostUpTo: Sqlite.Statement<[number], { first: number; numbers: Buffer }>;
  addSignpost: Sqlite.Statement<[number, Buffer]>;
  deleteSignposts: Sqlite.Statement<[]>;
  chunksUpTo: Sqlite.Statement<[{ after: number; end: number }], ChunkRow>;
  lastChunk: Sqlite.Statement<[], ChunkRow>;
  streams: Sqlite.Statement<[], StoredStream>;
  stream: Sqlite.Statement<[number, string, string, number, number, string]>;
  deleteStream: Sqlite.Statement<[number]>;
  forget: Sqlite.Statement<[number]>;
  release: Sqlite.Statement<[]>;
  readMeta: Sqlite.Statement<[], MetaRow>;
  touch: Sqlite.Statement<[]>;
  meta: Sqlite.Statement<[number, string]>;
  adopt: Sqlite.Statement<[string, string]>;
  lost: Sqlite.Statement<[], LostRow>;
  /** What is not plain numbers, the oldest first. */
  details: Sqlite.Statement<[number], LostRow>;
  extendLost: Sqlite.Statement<[number, number, string, number, number]>;
  addLost: Sqlite.Statement<[number, number, number, string, string]>;
  deleteLost: Sqlite.Statement<[number, number, string, string], Pick<LostRow, "to_seq">>;
}

const full = "SELECT first, count, size, uptime_ms, wall_ms, ranges, gaps, records FROM chunk";
const brief = "SELECT first, count, size, uptime_ms FROM chunk";

/** It is the same in all versions but the first. */
export function prepareLastChunk(db: Sqlite.Database): Sqlite.Statement<[], ChunkRow> {
  return db.prepare<[], ChunkRow>(`${brief} ORDER BY first DESC LIMIT 1`);
}

export function prepareStatements(db: Sqlite.Database): Statements {
  return {
    // A commit may be tried again although it is there, when only what follows it failed.
    addChunk: db.prepare(
      "INSERT OR REPLACE INTO chunk (first, count, size, uptime_ms, wall_ms, ranges, gaps, records) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    ),
    deleteChunk: db.prepare<[number]>("DELETE FROM chunk WHERE first = ?"),
    chunkFrom: db.prepare<[number], ChunkRow>(`${brief} WHERE first >= ? ORDER BY first LIMIT 1`),
    fullChunk: db.prepare<[number], FullChunkRow>(`${full} WHERE first = ?`),
    fullChunkUpTo: db.prepare<[number], FullChunkRow>(`${full} WHERE first <= ? ORDER BY first DESC LIMIT 1`),
    fullChunkFrom: db.prepare<[number], FullChunkRow>(`${full} WHERE first > ? ORDER BY first LIMIT 1`),
    rangesFrom: db.prepare<[number, number], { first: number; ranges: Buffer }>(
      "SELECT first, ranges FROM chunk WHERE first >= ? ORDER BY first LIMIT ?",
    ),
    signpostUpTo: db.prepare<[number], { first: number; numbers: Buffer }>(
      "SELECT first, numbers FROM signpost WHERE first <= ? ORDER BY first DESC LIMIT 1",
    ),
    addSignpost: db.prepare("INSERT OR REPLACE INTO signpost (first, numbers) VALUES (?, ?)"),
    deleteSignposts: db.prepare(
      "DELETE FROM signpost WHERE first < (SELECT first FROM chunk ORDER BY first LIMIT 1)",
    ),
    // The bound on `first` alone follows from the other one, but only it ends the search.
    chunksUpTo: db.prepare<[{ after: number; end: number }], ChunkRow>(
      `${brief} WHERE first > @after AND first <= @end AND first + count - 1 <= @end ORDER BY first`,
    ),
    streams: db.prepare<[], StoredStream>(
      "SELECT id, venue, symbol, seq, reserved, mark FROM stream ORDER BY id",
    ),
    stream: db.prepare(
      "INSERT INTO stream (id, venue, symbol, seq, reserved, mark) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, reserved = excluded.reserved, mark = excluded.mark",
    ),
    deleteStream: db.prepare("DELETE FROM stream WHERE id = ?"),
    forget: db.prepare("UPDATE meta SET forgotten_seq = max(forgotten_seq, ?)"),
    touch: db.prepare("UPDATE meta SET id = 1"),
    meta: db.prepare("UPDATE meta SET uptime_ms = ?, done = ?"),
    readMeta: db.prepare<[], MetaRow>(
      "SELECT epoch, agent, uptime_ms, done, forgotten_seq, earlier_epoch FROM meta",
    ),
    lastChunk: prepareLastChunk(db),
    adopt: db.prepare("UPDATE meta SET agent = ?, epoch = ?, forgotten_seq = 0, earlier_epoch = NULL"),
    release: db.prepare("UPDATE stream SET reserved = seq WHERE reserved <> seq"),
    lost: db.prepare<[], LostRow>(
      "SELECT stream, from_seq, to_seq, reason, missing FROM lost ORDER BY stream, from_seq",
    ),
    details: db.prepare<[number], LostRow>(
      "SELECT stream, from_seq, to_seq, reason, missing FROM lost WHERE stream = ? AND missing <> '' ORDER BY from_seq",
    ),
    extendLost: db.prepare(
      "UPDATE lost SET to_seq = max(to_seq, ?) WHERE stream = ? AND reason = ? AND from_seq <= ? AND to_seq >= ? - 1 AND missing = ''",
    ),
    addLost: db.prepare(
      "INSERT INTO lost (stream, from_seq, to_seq, reason, missing) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET to_seq = max(to_seq, excluded.to_seq)",
    ),
    deleteLost: db.prepare<[number, number, string, string], Pick<LostRow, "to_seq">>(
      "DELETE FROM lost WHERE stream = ? AND from_seq = ? AND reason = ? AND missing = ? RETURNING to_seq",
    ),
  };
}
