/**
 * Parts what a broker sends: PUBACKs of ticks on the one hand, everything else, byte for byte and as it came, on the
 * other. Only the beginning of a frame's header is ever held back, at most four bytes, until it says whose it is.
 */
import { lastTickId } from "./packet-ids.ts";

export interface SplitterOptions {
  /** A PUBACK with an identifier of {@link lastTickId} or less. */
  acknowledged: (packetId: number) => void;
  /** Never empty; the memory of the chunk that it came with. */
  other: (bytes: Buffer) => void;
}

const puback = 0x40;
const pubackBytes = 4;
const longestLengthBytes = 4;
const noBytes = Buffer.alloc(0);

export class Splitter {
  readonly #options: SplitterOptions;
  #held: Buffer = noBytes;
  /** Bytes to come of the frame of somebody else; without end behind a header that is none. */
  #left = 0;

  constructor(options: SplitterOptions) {
    this.#options = options;
  }

  /** Returns how many PUBACKs of ticks were in it. */
  take(chunk: Buffer): number {
    const { acknowledged } = this.#options;
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let count = 0;
    let at = Math.min(this.#left, bytes.length);
    let from = 0;
    this.#left -= at;
    while (at < bytes.length) {
      const packetId = tickIdAt(bytes, at);
      if (packetId !== undefined) {
        this.#pass(bytes, from, at);
        acknowledged(packetId);
        count += 1;
        at += pubackBytes;
        from = at;
        continue;
      }
      const end = endOf(bytes, at);
      if (end === undefined) break;
      at = Math.min(end, bytes.length);
      this.#left = end - at;
    }
    this.#pass(bytes, from, at);
    this.#held = at === bytes.length ? noBytes : Buffer.from(bytes.subarray(at));
    return count;
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    if (from < to) this.#options.other(bytes.subarray(from, to));
  }
}

/** Of the PUBACK of a tick that lies whole at this place. */
function tickIdAt(bytes: Buffer, at: number): number | undefined {
  if (bytes[at] !== puback || bytes[at + 1] !== 2 || at + pubackBytes > bytes.length) return undefined;
  const packetId = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  return packetId > 0 && packetId <= lastTickId ? packetId : undefined;
}

/** Where the frame ends that begins at this place; undefined while its header does not say what it is. */
function endOf(bytes: Buffer, at: number): number | undefined {
  let remaining = 0;
  for (let digit = 0; digit < longestLengthBytes; digit++) {
    const place = at + 1 + digit;
    if (place >= bytes.length) return undefined;
    const value = bytes[place] as number;
    remaining += (value & 0x7f) << (7 * digit);
    if (value > 0x7f) continue;
    const end = place + 1 + remaining;
    return isCutPuback(bytes, at, end) ? undefined : end;
  }
  // Not a length: mqtt.js will say so, and end the connection.
  return Number.POSITIVE_INFINITY;
}

const isCutPuback = (bytes: Buffer, at: number, end: number): boolean =>
  bytes[at] === puback && end - at === pubackBytes && end > bytes.length;
