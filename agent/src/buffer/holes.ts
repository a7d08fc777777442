/**
 * Positions that are not done and that no chunk has. No commit leaves any; a file may have them all the same, after
 * damage that no check has found, or from an earlier version. What was there is told of as far as its neighbours tell.
 */
import { decodeRanges, type SeqRange } from "./chunk.ts";
import { Positions } from "./positions.ts";
import type { LostRange, StoredStream } from "./protocol.ts";
import type { MetaRow, Statements } from "./schema.ts";
import { chunksPerSignpost } from "./signposts.ts";
import { endOf } from "./unsent.ts";

export interface Hole {
  extent: readonly [from: number, to: number];
  lost: LostRange[];
}

/** The hole with the position; undefined where there is none. */
export function holeAt(statements: Statements, position: number): Hole | undefined {
  const { done } = statements.readMeta.get() as MetaRow;
  const positions = JSON.parse(done) as number[];
  const end = endOf(statements.lastChunk.get(), positions);
  if (position >= end || new Positions(positions).has(position)) return undefined;
  const below = statements.fullChunkUpTo.get(position);
  const above = statements.fullChunkFrom.get(position);
  const from = below === undefined ? 1 : below.first + below.count;
  if (from > position) return undefined;
  const before = highest(numbersBefore(statements, from, below?.first ?? 0));
  const after = lowest(rangesIn(above?.ranges));
  const lost = statements.streams.all().flatMap((stream) => lostOf(stream, before, after));
  return { extent: [from, (above?.first ?? end) - 1], lost };
}

function lostOf({ id, seq }: StoredStream, before: Map<number, number>, after: Map<number, number>) {
  const known = before.get(id);
  const toSeq = (after.get(id) ?? seq + 1) - 1;
  if (toSeq <= (known ?? 0)) return [];
  const from = known === undefined ? {} : { fromSeq: known + 1 };
  const missing = { reason: "corrupt" as const, count: null, ...from, toSeq };
  const lost: LostRange = { streamId: id, fromSeq: known ?? toSeq, toSeq, reason: "corrupt", missing };
  return [lost];
}

const rangesIn = (bytes: Buffer | undefined): SeqRange[] =>
  bytes === undefined ? [] : (decodeRanges(bytes) ?? []);

/** From the last signpost on; a stream that it does not name had no numbers then, where there is one at all. */
function numbersBefore(statements: Statements, position: number, below: number): SeqRange[] {
  const { signpostUpTo, rangesFrom, streams } = statements;
  const post = signpostUpTo.get(position);
  const unnamed = post === undefined ? [] : streams.all();
  const since = rangesFrom
    .all(post?.first ?? below, chunksPerSignpost)
    .filter(({ first }) => first < position);
  return [
    ...unnamed.map(({ id }) => ({ streamId: id, fromSeq: 0, toSeq: 0 })),
    ...rangesIn(post?.numbers),
    ...since.flatMap(({ ranges }) => rangesIn(ranges)),
  ];
}

/** By stream. */
function highest(ranges: readonly SeqRange[]): Map<number, number> {
  const seqs = new Map<number, number>();
  for (const { streamId, toSeq } of ranges) seqs.set(streamId, Math.max(toSeq, seqs.get(streamId) ?? 0));
  return seqs;
}

/** By stream. */
function lowest(ranges: readonly SeqRange[]): Map<number, number> {
  const seqs = new Map<number, number>();
  for (const { streamId, fromSeq } of ranges)
    seqs.set(streamId, Math.min(fromSeq, seqs.get(streamId) ?? fromSeq));
  return seqs;
}
