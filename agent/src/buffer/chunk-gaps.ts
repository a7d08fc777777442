/**
 * The gap records of a chunk once more, with a checksum of their own: when the chunk is damaged, what they told of must be
 * told again, or it would be missing without a word.
 */
import { crc32 } from "node:zlib";
import type { Gap } from "@equipoise/shared";
import { isEncodedGap } from "@equipoise/shared/tick";
import type { Chunk, SeqRange } from "./chunk.ts";
import type { Positions } from "./positions.ts";
import type { LostRange } from "./protocol.ts";
import { toldAgain } from "./retold.ts";
import type { FullChunkRow } from "./schema.ts";

export interface ChunkGap {
  position: number;
  streamId: number;
  record: Gap;
}

const crcBytes = 4;
/** Every gap record has it and hardly a trade. It is found five times as fast as more of the record would be. */
const gapMark = 'gap"';

/** Of nearly all chunks nothing but the checksum. */
export function encodeGaps({
  first,
  payloads,
  streamIds,
}: Pick<Chunk, "first" | "payloads" | "streamIds">): Buffer {
  const text = Buffer.from(payloads.buffer, payloads.byteOffset, payloads.byteLength);
  const lines = text.includes(gapMark) ? text.toString().split("\n") : [];
  const gaps = lines.flatMap((payload, index) =>
    isEncodedGap(payload) ? [`[${first + index},${streamIds[index]},${payload}]`] : [],
  );
  const body = Buffer.from(gaps.length === 0 ? "" : `[${gaps.join(",")}]`);
  const bytes = Buffer.alloc(body.length + crcBytes);
  bytes.set(body);
  bytes.writeUInt32LE(crc32(body), body.length);
  return bytes;
}

/** @param bytes null in chunks of version 2 @returns undefined when nobody knows */
export function decodeGaps(bytes: Buffer | null): ChunkGap[] | undefined {
  if (bytes === null || bytes.length < crcBytes) return undefined;
  const body = bytes.subarray(0, -crcBytes);
  if (crc32(body) !== bytes.readUInt32LE(body.length)) return undefined;
  if (body.length === 0) return [];
  const gaps = JSON.parse(body.toString("utf8")) as [number, number, Gap][];
  return gaps.map(([position, streamId, record]) => ({ position, streamId, record }));
}

/** What is lost with a damaged chunk: its own numbers, but for what was acknowledged, and what its gap records told. */
export function lostWithDamaged(
  { first, count, gaps }: Pick<FullChunkRow, "first" | "count" | "gaps">,
  ranges: readonly SeqRange[],
  done: Positions,
): LostRange[] {
  const isWhole = done.missing(first, first + count - 1).every(([from, to]) => to - from + 1 === count);
  const isOneStream = ranges.every(({ streamId }) => streamId === ranges[0]?.streamId);
  const known = decodeGaps(gaps);
  const own = isOneStream ? undoneOf(ranges, first, done) : ranges;
  // Which of several streams the acknowledged positions belong to, nobody knows any more.
  const isExact = known !== undefined && (isWhole || isOneStream);
  const untold = known?.filter(({ position }) => !done.has(position)) ?? [];
  return [
    ...own.map((range) => corrupt(range, isExact)),
    ...untold.map(({ streamId, record }) => toldAgain(streamId, record)),
  ];
}

/** @param ranges of one stream, of positions from `first` on */
function undoneOf(ranges: readonly SeqRange[], first: number, done: Positions): SeqRange[] {
  let position = first;
  return ranges.flatMap(({ streamId, fromSeq, toSeq }) => {
    const offset = fromSeq - position;
    position += toSeq - fromSeq + 1;
    const undone = done.missing(fromSeq - offset, toSeq - offset);
    return undone.map(([from, to]) => ({ streamId, fromSeq: from + offset, toSeq: to + offset }));
  });
}

function corrupt({ streamId, fromSeq, toSeq }: SeqRange, isExact: boolean): LostRange {
  const range = { streamId, fromSeq, toSeq, reason: "corrupt" } as const;
  return isExact ? range : { ...range, missing: { reason: "corrupt", count: null, fromSeq, toSeq } };
}
