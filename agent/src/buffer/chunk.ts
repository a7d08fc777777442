/**
 * A chunk: consecutive ticks as one row, compressed together. Ticks of a stream resemble each other, so they take about
 * a tenth; and a row for many is written and deleted at the price of one.
 */
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** Numbers of one stream without a hole. A chunk has one or more for each of its streams, ascending. */
export interface SeqRange {
  streamId: number;
  fromSeq: number;
  toSeq: number;
}

/** The records of a chunk. */
export interface Records {
  /** The stream of each. */
  streamIds: Uint32Array<ArrayBuffer>;
  /** UTF-8, each with a line feed behind it; JSON never holds one. */
  payloads: Uint8Array<ArrayBuffer>;
}

export interface Chunk extends Records {
  /** Position of the first tick. */
  first: number;
  ranges: readonly SeqRange[];
  /** Uptime and wall clock of the newest. */
  uptimeMs: number;
  wallMs: number;
}

const options = {
  params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
};
const rangeFields = 3;
const crcBytes = 4;
/** What is decompressed goes into one piece where this suffices; zlib's own 16 KiB would be many, and copied in the end. */
const expectedBytesPerRecord = 320;

/** The ranges with a checksum behind them: they must be told apart from noise, because gap records come of them. */
export function encodeRanges(ranges: readonly SeqRange[]): Buffer {
  const fields = Float64Array.from(
    ranges.flatMap(({ streamId, fromSeq, toSeq }) => [streamId, fromSeq, toSeq]),
  );
  const bytes = Buffer.alloc(fields.byteLength + crcBytes);
  bytes.set(new Uint8Array(fields.buffer));
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -crcBytes)), fields.byteLength);
  return bytes;
}

/** @returns undefined when the bytes are damaged */
export function decodeRanges(bytes: Buffer): SeqRange[] | undefined {
  const body = bytes.subarray(0, -crcBytes);
  if (bytes.length < crcBytes || body.length % (rangeFields * 8) !== 0) return undefined;
  if (crc32(body) !== bytes.readUInt32LE(body.length)) return undefined;
  const ranges: SeqRange[] = [];
  for (let at = 0; at < body.length; at += rangeFields * 8) {
    const [streamId, fromSeq, toSeq] = [
      body.readDoubleLE(at),
      body.readDoubleLE(at + 8),
      body.readDoubleLE(at + 16),
    ];
    ranges.push({ streamId, fromSeq, toSeq });
  }
  return ranges;
}

/** The same records as views of one ArrayBuffer of their own, which can cross threads as it is. */
export function movable({ streamIds, payloads }: Records): Records {
  const bytes = new Uint8Array(streamIds.byteLength + payloads.byteLength);
  const ids = new Uint32Array(bytes.buffer, 0, streamIds.length);
  ids.set(streamIds);
  bytes.set(payloads, ids.byteLength);
  return { streamIds: ids, payloads: bytes.subarray(ids.byteLength) };
}

/** @param records see {@link movable} */
export function encodeRecords({ streamIds, payloads }: Records): Buffer {
  const { buffer, byteOffset, byteLength } = streamIds;
  if (buffer !== payloads.buffer || payloads.byteOffset !== byteOffset + byteLength)
    throw new Error("records that are not in one piece");
  return zstdCompressSync(new Uint8Array(buffer, byteOffset, byteLength + payloads.byteLength), options);
}

/**
 * @param bytes as read from the database, and not to be read again: their memory is given back at once
 * @returns see {@link movable}; undefined when the bytes are damaged, which the compression's own checksum tells
 */
export function decodeRecords(bytes: Buffer<ArrayBuffer>, count: number): Records | undefined {
  try {
    const plain = zstdDecompressSync(bytes, { chunkSize: Math.max(1_024, count * expectedBytesPerRecord) });
    // A small one may be of Node's pool, which must not change threads; it takes less than half of it.
    const own = plain.byteLength * 2 < plain.buffer.byteLength ? new Uint8Array(plain) : plain;
    const { buffer, byteOffset, byteLength } = own;
    const streamIds = new Uint32Array(buffer, byteOffset, count);
    const idBytes = streamIds.byteLength;
    return { streamIds, payloads: new Uint8Array(buffer, byteOffset + idBytes, byteLength - idBytes) };
  } catch {
    return undefined; // it throws for nothing but damage, under many codes
  } finally {
    giveBack(bytes);
  }
}

/** Left to the garbage collection, which sees little reason to run, the memory of hundreds of chunks would gather. */
function giveBack({ buffer, byteLength }: Buffer<ArrayBuffer>): void {
  // Not where others have parts of it.
  if (buffer.byteLength === byteLength) buffer.transfer(0);
}

/** All records as text, each by itself. */
export function payloadsOf({ payloads }: Records): string[] {
  return Buffer.from(payloads.buffer, payloads.byteOffset, payloads.byteLength)
    .toString()
    .split("\n")
    .slice(0, -1);
}

/** The numbers of ticks in order, as few ranges as they make. */
export class Ranges {
  readonly #all: SeqRange[] = [];
  /** The newest of each stream. */
  readonly #open = new Map<number, SeqRange>();

  get all(): readonly SeqRange[] {
    return this.#all;
  }

  add(streamId: number, seq: number): void {
    const range = this.#open.get(streamId);
    if (range?.toSeq === seq - 1) {
      range.toSeq = seq;
      return;
    }
    const begun = { streamId, fromSeq: seq, toSeq: seq };
    this.#open.set(streamId, begun);
    this.#all.push(begun);
  }
}

/** See {@link Ranges}. */
export function rangesOf(ticks: Iterable<{ streamId: number; seq: number }>): readonly SeqRange[] {
  const ranges = new Ranges();
  for (const { streamId, seq } of ticks) ranges.add(streamId, seq);
  return ranges.all;
}

/** The sequence number of each record. */
export function seqsOf(streamIds: Uint32Array, ranges: readonly SeqRange[]): number[] {
  const rest = new Map<number, SeqRange[]>();
  for (const range of ranges) {
    const known = rest.get(range.streamId);
    if (known === undefined) rest.set(range.streamId, [{ ...range }]);
    else known.push({ ...range });
  }
  return Array.from(streamIds, (id) => {
    const own = rest.get(id) ?? [];
    if (own[0] !== undefined && own[0].fromSeq > own[0].toSeq) own.shift();
    const [range] = own;
    if (range === undefined) throw new Error(`a chunk has a record of stream ${id} without a number`);
    range.fromSeq += 1;
    return range.fromSeq - 1;
  });
}
