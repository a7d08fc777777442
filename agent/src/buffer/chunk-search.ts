/** Finds records of one stream by their numbers, in the chunks of a database. */
import { decodeRanges, decodeRecords, payloadsOf, type SeqRange, seqsOf } from "./chunk.ts";
import type { FullChunkRow, Statements } from "./schema.ts";
import { chunksPerSignpost, signpostBefore } from "./signposts.ts";

/** A chunk by its first position, with what {@link decodeRanges} reads. */
export interface RangesRow {
  first: number;
  ranges: Buffer;
}

/** First positions of the chunks that hold some of the numbers, in order of sequence; no more are read than needed. */
export function* chunksWith(statements: Statements, wanted: SeqRange): IterableIterator<number> {
  const { streamId, toSeq } = wanted;
  let seq = wanted.fromSeq;
  for (let position = 0; ; ) {
    position = Math.max(position, signpostBefore(statements, streamId, seq));
    const rows = statements.rangesFrom.all(position, chunksPerSignpost);
    for (const row of rows) {
      const own = ownRanges(row, streamId);
      if (own.some((range) => overlaps(range, wanted))) yield row.first;
      seq = Math.max(seq, (own.at(-1)?.toSeq ?? 0) + 1);
      if (seq > toSeq) return;
      position = row.first + 1;
    }
    if (rows.length < chunksPerSignpost) return;
  }
}

/** The first and last number that a chunk has of a stream; undefined for none, or where they are damaged. */
export function ownExtent(row: RangesRow, streamId: number): [from: number, to: number] | undefined {
  const own = ownRanges(row, streamId);
  const [first, last] = [own[0], own.at(-1)];
  return first === undefined || last === undefined ? undefined : [first.fromSeq, last.toSeq];
}

/** The wanted records of one chunk, at most `limit`; none of a damaged one: whoever reads it for delivery reports it. */
export function recordsWithin(row: FullChunkRow, wanted: SeqRange, limit: number): string[] {
  const ranges = decodeRanges(row.ranges);
  const records = decodeRecords(row.records, row.count);
  if (ranges === undefined || records === undefined) return [];
  const payloads = payloadsOf(records);
  const seqs = seqsOf(records.streamIds, ranges);
  const within = (seq: number, index: number): boolean =>
    records.streamIds[index] === wanted.streamId && seq >= wanted.fromSeq && seq <= wanted.toSeq;
  return payloads
    .filter((_, index) => index < seqs.length && within(seqs[index] as number, index))
    .slice(0, limit);
}

function ownRanges({ ranges }: RangesRow, streamId: number): SeqRange[] {
  return (decodeRanges(ranges) ?? []).filter((range) => range.streamId === streamId);
}

const overlaps = (range: SeqRange, wanted: SeqRange): boolean =>
  range.fromSeq <= wanted.toSeq && range.toSeq >= wanted.fromSeq;
