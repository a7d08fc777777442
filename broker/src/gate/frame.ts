/**
 * Splits a byte stream into MQTT frames (fixed header, remaining length, body) without copying whole ones.
 * A frame that arrives in pieces is gathered once, so a frame over n segments costs O(n); a remaining length over the
 * limit is refused as soon as its digits are read, before its body is waited for.
 */
import { Fault } from "./fault.ts";

/**
 * Receives one whole frame: it lies at `[start, end)` of `bytes`, its variable header begins at `body`.
 * The bytes may be kept; they are never written again. Returns false to hold the frames behind this one.
 */
export type FrameHandler = (bytes: Buffer, start: number, body: number, end: number) => boolean;

const noBytes = Buffer.alloc(0);
const longestHeader = 5;

export class FrameReader {
  #maxPacketBytes: number;
  readonly #handle: FrameHandler;
  /** The beginning of a frame whose end has not come yet; filled up to `#carried`, grown by doubling. */
  #carry: Buffer = noBytes;
  #carried = 0;
  /** Length of the frame being carried, or 0 while its header is incomplete. */
  #needed = 0;
  /** Whole bytes received while held. */
  #held: Buffer[] = [];
  #holding = false;
  #reading = false;

  /** @param maxPacketBytes largest frame accepted, header included */
  constructor(maxPacketBytes: number, handle: FrameHandler) {
    this.#maxPacketBytes = maxPacketBytes;
    this.#handle = handle;
  }

  /** From the next frame on. */
  allow(maxPacketBytes: number): void {
    this.#maxPacketBytes = maxPacketBytes;
  }

  get holding(): boolean {
    return this.#holding;
  }

  /**
   * Takes the next bytes of the stream.
   * @throws Fault malformed or packetTooLarge
   */
  push(chunk: Buffer): void {
    if (this.#holding || this.#reading) {
      this.#held.push(chunk);
      return;
    }
    this.#reading = true;
    try {
      this.#read(this.#carried === 0 ? chunk : this.#join(chunk));
    } finally {
      this.#reading = false;
    }
  }

  /** Goes on after the handler has asked to hold. */
  resume(): void {
    if (!this.#holding) return;
    this.#holding = false;
    if (this.#reading) return;
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.push(chunk);
  }

  /** Adds a chunk to the carried beginning; returns bytes to read, empty while the frame is not whole. */
  #join(chunk: Buffer): Buffer {
    if (this.#needed === 0) return this.#joinHeader(chunk);
    const missing = this.#needed - this.#carried;
    if (chunk.length < missing) {
      this.#append(chunk);
      return noBytes;
    }
    this.#append(chunk.subarray(0, missing));
    const frame = this.#carry.subarray(0, this.#carried);
    this.#forget();
    const rest = chunk.subarray(missing);
    this.#read(frame);
    return this.#holding ? this.#hold(rest) : rest;
  }

  /** While the header is incomplete fewer than five bytes are carried, so joining everything is cheap. */
  #joinHeader(chunk: Buffer): Buffer {
    const joined = Buffer.concat([this.#carry.subarray(0, this.#carried), chunk]);
    this.#forget();
    return joined;
  }

  #hold(rest: Buffer): Buffer {
    if (rest.length > 0) this.#held.unshift(rest);
    return noBytes;
  }

  #append(chunk: Buffer): void {
    const wanted = this.#carried + chunk.length;
    if (wanted > this.#carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#needed, Math.max(wanted, this.#carry.length * 2)));
      this.#carry.copy(grown, 0, 0, this.#carried);
      this.#carry = grown;
    }
    chunk.copy(this.#carry, this.#carried);
    this.#carried = wanted;
  }

  #forget(): void {
    this.#carry = noBytes;
    this.#carried = 0;
    this.#needed = 0;
  }

  #read(bytes: Buffer): void {
    const length = bytes.length;
    let start = 0;
    while (start < length) {
      let body = start + 1;
      let remaining = 0;
      let shift = 0;
      let more = true;
      while (more && body < length) {
        const digit = bytes[body++] as number;
        remaining |= (digit & 0x7f) << shift;
        shift += 7;
        more = digit > 0x7f;
        if (more && shift === 28)
          throw new Fault("malformed", "the remaining length has more than four bytes");
      }
      if (more) return this.#keep(bytes, start, 0);
      const end = body + remaining;
      if (end - start > this.#maxPacketBytes) {
        throw new Fault(
          "packetTooLarge",
          `a packet of ${end - start} bytes, allowed are ${this.#maxPacketBytes}`,
        );
      }
      if (end > length) return this.#keep(bytes, start, end - start);
      if (!this.#handle(bytes, start, body, end)) {
        this.#holding = true;
        this.#hold(bytes.subarray(end));
        return;
      }
      start = end;
    }
  }

  /** Remembers the beginning of an unfinished frame in memory of its own, so that the segment can go. */
  #keep(bytes: Buffer, start: number, needed: number): void {
    const rest = bytes.subarray(start);
    const size = needed === 0 ? longestHeader : Math.min(needed, Math.max(rest.length * 2, 64));
    this.#carry = Buffer.allocUnsafeSlow(Math.max(size, rest.length));
    rest.copy(this.#carry);
    this.#carried = rest.length;
    this.#needed = needed;
  }
}
