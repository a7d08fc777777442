/**
 * The gap records of a chunk once more, with a checksum of their own: when the chunk is damaged, what they told of must be
 * told again, or it would be missing without a word.
 */
import { crc32 } from "node:zlib";
import type { Gap } from "@equipoise/shared";
import { isEncodedGap } from "@equipoise/shared/tick";
import type { Chunk, SeqRange } from "./chunk.ts";
import type { LostRange } from "./protocol.ts";
import { toldAgain } from "./retold.ts";

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

/**
 * What is lost with a damaged chunk: its own numbers, and what its gap records told of.
 * @param isDone whether a position was acknowledged, so that its gap record has been told
 */
export function lostWithDamaged(
  ranges: readonly SeqRange[],
  gaps: Buffer | null,
  isDone: (position: number) => boolean,
): LostRange[] {
  const known = decodeGaps(gaps);
  if (known !== undefined) {
    const told = known
      .filter(({ position }) => !isDone(position))
      .map(({ streamId, record }) => toldAgain(streamId, record));
    return [...ranges.map((range) => ({ ...range, reason: "corrupt" as const })), ...told];
  }
  return ranges.map(({ streamId, fromSeq, toSeq }) => {
    const missing = { reason: "corrupt" as const, count: null, fromSeq, toSeq };
    return { streamId, fromSeq, toSeq, reason: "corrupt", missing };
  });
}
