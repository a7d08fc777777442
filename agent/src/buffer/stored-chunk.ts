/** A chunk as the database has it: whole, or as much of it as its checksums still vouch for. */
import Sqlite from "better-sqlite3";
import { decodeRanges, decodeRecords, payloadsOf, type Records, rangesOf, type SeqRange } from "./chunk.ts";
import type { FullChunkRow } from "./schema.ts";

export interface StoredChunk {
  ranges: readonly SeqRange[];
  /** Undefined when they are damaged. */
  records: Records | undefined;
}

/** Each record has its own number once more. @throws SqliteError SQLITE_CORRUPT when nobody knows which numbers it has */
export function storedChunk({ first, count, ranges, records }: FullChunkRow): StoredChunk {
  const known = decodeRanges(ranges);
  const readable = decodeRecords(records, count);
  if (known !== undefined) return { ranges: known, records: readable };
  if (readable !== undefined) return { ranges: rangesWithin(readable), records: readable };
  throw new Sqlite.SqliteError(`the chunk ${first} is damaged`, "SQLITE_CORRUPT");
}

function rangesWithin(records: Records): readonly SeqRange[] {
  return rangesOf(
    payloadsOf(records).map((payload, index) => {
      const { seq } = JSON.parse(payload) as { seq: number };
      return { streamId: records.streamIds[index] ?? 0, seq };
    }),
  );
}
