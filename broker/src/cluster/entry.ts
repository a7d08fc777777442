/**
 * What a queue's stream holds: at most 32 messages of one turn, so that a broker never holds many more than its members
 * have credit for.
 * ```
 * 0x01 · number of messages (1) · most QoS they go out with (1) · frames in stored form
 * ```
 * The first byte is the version: brokers of different versions work side by side, and one that does not know an entry's
 * version leaves it to the others.
 */
import { Chunk } from "../journal/chunk.ts";
import { Slice } from "../journal/slice.ts";

export const entryVersion = 1;
/** A broker holds at most so many messages more than it has asked for. */
export const maxEntryMessages = 32;
const maxEntryBytes = 65_536;
const headerSize = 3;

/** One entry of a queue that this broker holds. */
export interface Entry {
  /** Its id in the stream. */
  readonly id: string;
  readonly slice: Slice;
  /** As the engine counts it. */
  readonly byteLength: number;
  /** The engine has a note beside it: what of it is settled, or its failed attempts. */
  noted: boolean;
  /** Others have it now: nothing of it may be noted any more. */
  lost: boolean;
}

/** An entry as a script gives it, with what is noted beside it: its bitmap and its failed attempts. */
export type Taken = [id: Buffer, content: Buffer, unsettled?: Buffer | null, failures?: Buffer | null];

/** A slice's messages as the entries that hold them. */
export function encodeEntries(slice: Slice): Buffer[] {
  const { chunk } = slice;
  const { bytes, starts } = chunk;
  if (bytes === undefined) throw new Error("a chunk without bytes cannot be appended");
  const entries: Buffer[] = [];
  for (let place = 0; place < slice.count; ) {
    const end = endOfEntry(slice, place);
    let size = headerSize;
    for (let at = place; at < end; at++) size += frameSize(starts, slice.indexAt(at));
    const entry = Buffer.allocUnsafe(size);
    entry[0] = entryVersion;
    entry[1] = end - place;
    entry[2] = slice.qosCap;
    for (let at = place, to = headerSize; at < end; at++) {
      const index = slice.indexAt(at);
      to += bytes.copy(entry, to, starts[index], starts[index + 1]);
    }
    entries.push(entry);
    place = end;
  }
  return entries;
}

/** The place behind the last message that goes into the entry with the one at `place`. */
function endOfEntry(slice: Slice, place: number): number {
  const { starts } = slice.chunk;
  let bytes = 0;
  let end = place;
  while (end < slice.count && end - place < maxEntryMessages) {
    bytes += frameSize(starts, slice.indexAt(end));
    if (bytes > maxEntryBytes && end > place) break;
    end++;
  }
  return end;
}

function frameSize(starts: Uint32Array, index: number): number {
  return (starts[index + 1] as number) - (starts[index] as number);
}

/**
 * An entry as it was read, or `undefined` when a newer version has written it.
 * @param chunkId its number in this broker
 * @param unsettledBits what of it is left, or null for all
 */
export function decodeEntry(
  id: string,
  content: Buffer,
  chunkId: number,
  unsettledBits: Buffer | null = null,
  failures: Buffer | null = null,
): Entry | undefined {
  if (content[0] !== entryVersion) return undefined;
  const frames = content.subarray(headerSize);
  const chunk = new Chunk(chunkId, content[1] as number, frames.length);
  chunk.load(frames);
  const slice = Slice.recovered(chunk, unsettledBits, { qosCap: content[2] as number, part: 0 });
  if (failures !== null) slice.earlier = new Map(JSON.parse(failures.toString()));
  const noted = unsettledBits !== null || failures !== null;
  return { id, slice, byteLength: content.length, noted, lost: false };
}
