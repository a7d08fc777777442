/**
 * What a power cut may leave of SQLite's files: of what was written since the last fsync any part, in any order. Until the
 * cut nothing but whole sectors is written.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Files {
  db: Buffer;
  wal: Buffer;
}

const sectorBytes = 512;

export function snapshot(directory: string): Files {
  return {
    db: readFileSync(join(directory, "buffer.db")),
    wal: readFileSync(join(directory, "buffer.db-wal")),
  };
}

/** In a directory of their own. */
export function plant(directory: string, { db, wal }: Files): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  writeFileSync(join(directory, "buffer.db"), db);
  writeFileSync(join(directory, "buffer.db-wal"), wal);
}

/** Something was written back from the WAL. */
export const isChanged = (before: Files, after: Files): boolean => !before.db.equals(after.db);

/** Another one each time that the WAL begins anew. */
const saltOf = ({ wal }: Files): Buffer => wal.subarray(16, 24);

/** Some sectors of `after` over `before`: written in any order until the cut. */
function torn(before: Buffer, after: Buffer): Buffer {
  const mixed = Buffer.alloc(Math.max(before.length, after.length));
  before.copy(mixed);
  const odds = Math.random();
  for (let at = 0; at < after.length; at += sectorBytes) {
    if (Math.random() < odds) after.copy(mixed, at, at, at + sectorBytes);
  }
  return Math.random() < 0.3 ? mixed.subarray(0, before.length) : mixed;
}

/** Cut off within what was not yet synchronised. */
function truncated(before: Buffer, after: Buffer): Buffer {
  const length = before.length + Math.floor(Math.random() * Math.max(0, after.length - before.length));
  return Buffer.concat([before, after.subarray(before.length, length)]);
}

/**
 * States of the files between two commits, or a few. The database itself only changes once the whole WAL is synchronised,
 * and the WAL only begins anew once the whole database is.
 */
export function cutsBetween(before: Files, after: Files): Files[] {
  const isCheckpoint = isChanged(before, after);
  if (isCheckpoint && !saltOf(before).equals(saltOf(after))) return [after];
  const states = [
    { db: before.db, wal: before.wal },
    { db: before.db, wal: torn(before.wal, after.wal) },
    { db: before.db, wal: truncated(before.wal, after.wal) },
  ];
  if (isCheckpoint) {
    for (let n = 0; n < 4; n += 1) states.push({ db: torn(before.db, after.db), wal: after.wal });
  }
  return states;
}
