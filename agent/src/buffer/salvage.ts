/**
 * What a new database is told of the one before, which was set aside: its epoch, for the new one must sort behind it, and
 * its streams, for they lack ticks. It is read from the file that was set aside, so a start that is killed between the
 * two loses nothing of it.
 */
import type { Missing } from "@equipoise/shared";
import Sqlite from "better-sqlite3";
import { decodeRecords, payloadsOf } from "./chunk.ts";
import { readDamaged } from "./damaged-file.ts";
import { markOf, readOf } from "./marks.ts";
import type { LostRange, StoredStream } from "./protocol.ts";
import type { FullChunkRow, MetaRow } from "./schema.ts";

export interface Salvaged {
  /** Empty where it could not be read. */
  epoch: string;
  /** Whether these are all the streams that the epoch had. */
  areAllKnown: boolean;
  streams: StoredStream[];
  /** How the epoch ended for each of them, and what had still to be told of epochs before. */
  lost: LostRange[];
}

/** @param path undefined where none was set aside */
export function salvage(path: string | undefined): Salvaged {
  const salvaged: Salvaged = { epoch: "", areAllKnown: path === undefined, streams: [], lost: [] };
  if (path === undefined) return salvaged;
  // Read only, it would leave a WAL behind.
  return readDamaged(path, { fileMustExist: true }, salvagedFrom) ?? salvaged;
}

function salvagedFrom(db: Sqlite.Database): Salvaged {
  const [meta] = readable<Partial<MetaRow>>(db, "SELECT * FROM meta").rows;
  const epoch = meta?.epoch ?? epochOfRecords(db);
  const { rows, isWhole } = readable<StoredStream>(db, "SELECT * FROM stream");
  const streams = distinct(rows);
  return {
    epoch,
    areAllKnown: isWhole && meta?.forgotten_seq === 0 && meta.earlier_epoch === null,
    streams: streams.map((stream) => ({ ...stream, seq: 0, reserved: 0, mark: uncertain(stream) })),
    lost: [
      ...untold(db).filter(({ streamId }) => streams.some(({ id }) => id === streamId)),
      ...streams.filter(({ reserved }) => reserved > 0).map((stream) => endOf(stream, epoch)),
    ],
  };
}

function endOf({ id, reserved: toSeq }: StoredStream, epoch: string): LostRange {
  const ofEpoch = epoch === "" ? {} : { ofEpoch: epoch };
  return beforeFirst(id, { reason: "corrupt", count: null, ...ofEpoch, toSeq });
}

function untold(db: Sqlite.Database): LostRange[] {
  const select = "SELECT stream, missing FROM lost WHERE json_extract(missing, '$.ofEpoch') IS NOT NULL";
  const { rows } = readable<{ stream: number; missing: string }>(db, select);
  return rows.map(({ stream, missing }) => beforeFirst(stream, JSON.parse(missing) as Missing));
}

/** It has no numbers in the new epoch. */
function beforeFirst(streamId: number, missing: Missing): LostRange {
  return { streamId, fromSeq: 0, toSeq: 0, reason: missing.reason, missing };
}

/** There may have been more that no commit has, or none that can be read. */
const uncertain = ({ mark }: StoredStream): string => markOf(readOf(mark, true));

/** Every record names its epoch, too. */
function epochOfRecords(db: Sqlite.Database): string {
  for (const order of ["DESC", "ASC"]) {
    const select = `SELECT count, records FROM chunk ORDER BY first ${order} LIMIT 1`;
    const [row] = readable<FullChunkRow>(db, select).rows;
    const records = row === undefined ? undefined : decodeRecords(row.records, row.count);
    const [payload] = records === undefined ? [] : payloadsOf(records);
    if (payload !== undefined) return (JSON.parse(payload) as { epoch: string }).epoch;
  }
  return "";
}

/** The rows up to the damage, or none of a table that is not there. */
function readable<Row>(db: Sqlite.Database, select: string): { rows: Row[]; isWhole: boolean } {
  const rows: Row[] = [];
  try {
    for (const row of db.prepare<[], Row>(select).iterate()) rows.push(row);
    return { rows, isWhole: true };
  } catch (error) {
    if (error instanceof Sqlite.SqliteError) return { rows, isWhole: false };
    throw error;
  }
}

/** Of a damaged table the same row may come twice. */
function distinct(streams: readonly StoredStream[]): StoredStream[] {
  const byId = new Map(streams.map((stream) => [stream.id, stream]));
  return [
    ...new Map([...byId.values()].map((stream) => [`${stream.venue}\n${stream.symbol}`, stream])).values(),
  ];
}
