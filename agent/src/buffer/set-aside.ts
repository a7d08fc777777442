/**
 * Databases that were set aside, as far as they can still be read: whoever asks for an earlier epoch, or for what the
 * present one had before a new database took over, gets it from there.
 * Every chunk has its own checksums, so what comes out is what went in.
 */
import type Sqlite from "better-sqlite3";
import { ownExtent, type RangesRow, recordsWithin } from "./chunk-search.ts";
import { readDamaged } from "./damaged-file.ts";
import { isDamage } from "./database.ts";
import { inOrder } from "./kept.ts";
import type { EarlierRange } from "./protocol.ts";
import type { FullChunkRow } from "./schema.ts";
import { setAsidePaths } from "./set-aside-files.ts";

/** The newest that are looked into; each has to be opened for it. */
const maxFiles = 8;

/** Where a stream's records are in one file; kept for the next question, for finding that out reads all of the file. */
interface Index {
  path: string;
  streamId: number;
  /** First position, first and last number of each chunk, in order. */
  chunks: (readonly [first: number, fromSeq: number, toSeq: number])[];
}

export class SetAside {
  readonly #directory: string;
  #index: Index | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Records of a stream, in order, at most `limit`; none where nothing can be read. */
  range(wanted: EarlierRange, limit: number): string[] {
    const files = setAsidePaths(this.#directory).slice(0, maxFiles);
    const kept = files.map(
      (path) => readDamaged(path, { readonly: true }, (db) => this.#recordsOf(db, path, wanted, limit)) ?? [],
    );
    return inOrder(kept, limit);
  }

  #recordsOf(db: Sqlite.Database, path: string, asked: EarlierRange, limit: number): string[] {
    const streamId = streamOf(db, asked);
    if (streamId === undefined) return [];
    const { fromSeq, toSeq } = asked;
    const wanted = { streamId, fromSeq, toSeq };
    const chunk = db.prepare<[number], FullChunkRow>("SELECT * FROM chunk WHERE first = ?");
    const payloads: string[] = [];
    for (const [first, from, to] of this.#indexOf(db, path, streamId).chunks) {
      if (from > toSeq || to < fromSeq) continue;
      const row = undamaged(() => chunk.get(first));
      if (row !== undefined) payloads.push(...recordsWithin(row, wanted, limit - payloads.length));
      if (payloads.length >= limit) break;
    }
    return payloads;
  }

  #indexOf(db: Sqlite.Database, path: string, streamId: number): Index {
    if (this.#index?.path !== path || this.#index.streamId !== streamId) {
      this.#index = { path, streamId, chunks: chunksOf(db, streamId) };
    }
    return this.#index;
  }
}

/** The stream's number in a database of the epoch. */
function streamOf(db: Sqlite.Database, { epoch, venue, symbol }: EarlierRange): number | undefined {
  const meta = db.prepare<[], { epoch: string }>("SELECT epoch FROM meta").get();
  if (meta?.epoch !== epoch) return undefined;
  const find = "SELECT id FROM stream WHERE venue = ? AND symbol = ?";
  return db.prepare<[string, string], { id: number }>(find).get(venue, symbol)?.id;
}

/** From both ends, as far as the damage lets: it may be anywhere between. */
function chunksOf(db: Sqlite.Database, streamId: number): Index["chunks"] {
  const chunks = new Map<number, Index["chunks"][number]>();
  const readAll = (order: "ASC" | "DESC"): true | undefined => {
    const rows = db.prepare<[], RangesRow>(`SELECT first, ranges FROM chunk ORDER BY first ${order}`);
    return undamaged(() => {
      for (const row of rows.iterate()) {
        const extent = ownExtent(row, streamId);
        if (extent !== undefined) chunks.set(row.first, [row.first, ...extent]);
      }
      return true;
    });
  };
  if (readAll("ASC") === undefined) readAll("DESC");
  return [...chunks.values()].sort(([a], [b]) => a - b);
}

function undamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}
