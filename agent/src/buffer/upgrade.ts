/**
 * Databases of earlier versions become ones of this version, in one transaction: of version 1, with a row for each tick,
 * of version 2, where nobody knows what the gap records in a chunk say unless they are read, of version 3, and of version
 * 4, where nobody knows of an earlier epoch, nor how far the venues were read.
 */
import type Sqlite from "better-sqlite3";
import { beginDatabase } from "./beginning.ts";
import { encodeRanges, encodeRecords, movable, rangesOf } from "./chunk.ts";
import { encodeGaps } from "./chunk-gaps.ts";
import type { StoredStream } from "./protocol.ts";
import { lostTable, prepareStatements, schemaVersion, signpostTable } from "./schema.ts";

interface OldTick {
  position: number;
  stream: number;
  time_ms: number;
  payload: string;
}

const chunkTicks = 1_024;

/** @param found the version that the database has */
export function upgrade(db: Sqlite.Database, found: number): void {
  if (found === schemaVersion) return;
  if (found > 1) return alter(db, found);
  db.transaction(() => {
    const meta = db.prepare("SELECT epoch, agent FROM meta").get() as { epoch: string; agent: string };
    const streams = db
      .prepare("SELECT id, venue, symbol, seq, seq AS reserved FROM stream")
      .all() as StoredStream[];
    const extent = db.prepare("SELECT min(position) AS first FROM tick").get() as { first: number | null };
    db.exec("DROP TABLE meta; DROP TABLE stream");
    const done = [0, (extent.first ?? 1) - 1];
    beginDatabase(db, { ...meta, done, streams, earlierEpoch: null, forgottenSeq: 0, lost: [] });
    moveTicks(db);
    db.exec("DROP TABLE tick");
  })();
}

/** No chunk is touched, so a large file takes no longer. */
function alter(db: Sqlite.Database, found: number): void {
  db.transaction(() => {
    if (found === 2)
      db.exec("ALTER TABLE chunk ADD COLUMN gaps BLOB; ALTER TABLE lost ADD COLUMN missing TEXT");
    if (found < 4)
      db.exec(`ALTER TABLE lost RENAME TO former_lost; ${lostTable}
        INSERT INTO lost SELECT stream, from_seq, to_seq, reason, ifnull(missing, '') FROM former_lost;
        DROP TABLE former_lost; ${signpostTable}
        ALTER TABLE meta ADD COLUMN forgotten_seq INTEGER NOT NULL DEFAULT 0`);
    db.exec("ALTER TABLE meta ADD COLUMN earlier_epoch TEXT");
    db.exec("ALTER TABLE stream ADD COLUMN mark TEXT NOT NULL DEFAULT ''");
    db.pragma(`user_version = ${schemaVersion}`);
  })();
}

/** Every commit of version 1 published nothing before it was done, so positions and numbers have no holes. */
function moveTicks(db: Sqlite.Database): void {
  const { addChunk } = prepareStatements(db);
  const page = db.prepare<[number, number], OldTick>(
    "SELECT position, stream, time_ms, payload FROM tick WHERE position > ? ORDER BY position LIMIT ?",
  );
  let last = 0;
  for (let ticks = page.all(last, chunkTicks); ticks.length > 0; ticks = page.all(last, chunkTicks)) {
    const [first, newest] = [ticks[0], ticks.at(-1)];
    if (first === undefined || newest === undefined) return;
    const ranges = rangesOf(ticks.map(({ stream, payload }) => ({ streamId: stream, seq: seqOf(payload) })));
    const payloads = new TextEncoder().encode(`${ticks.map(({ payload }) => payload).join("\n")}\n`);
    const plain = movable({ streamIds: Uint32Array.from(ticks, ({ stream }) => stream), payloads });
    const records = encodeRecords(plain);
    const gaps = encodeGaps({ first: first.position, ...plain });
    const { length } = ticks;
    addChunk.run(
      first.position,
      length,
      records.length,
      0,
      newest.time_ms,
      encodeRanges(ranges),
      gaps,
      records,
    );
    last = newest.position;
  }
}

const seqOf = (payload: string): number => (JSON.parse(payload) as { seq: number }).seq;
