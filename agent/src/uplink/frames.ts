/**
 * PUBLISH frames of QoS 1 [MQTT-3.3], one behind the other in one piece of memory, so that those of a turn leave with
 * one write. The memory is used again as soon as the connection has taken what was written from it.
 */

/** Returns whether the memory may be written over. */
export type WriteFrames = (bytes: Buffer) => boolean;

/** More than that in a turn leaves with several writes. */
const pieceBytes = 65_536;
const publishQos1 = 0x32;
const noBytes = Buffer.alloc(0);

export class Frames {
  readonly #write: WriteFrames;
  #piece: Buffer = noBytes;
  /** What lies before this was written, but perhaps not yet taken. */
  #start = 0;
  #end = 0;

  constructor(write: WriteFrames) {
    this.#write = write;
  }

  /** Adds a frame; what does not fit with it is written. */
  add(topic: string, packetId: number, payload: string | Buffer): void {
    const topicBytes = Buffer.byteLength(topic);
    const payloadBytes = typeof payload === "string" ? Buffer.byteLength(payload) : payload.length;
    const remaining = 2 + topicBytes + 2 + payloadBytes;
    this.#reserve(1 + lengthBytes(remaining) + remaining);
    const piece = this.#piece;
    piece[this.#end] = publishQos1;
    let at = writeLength(piece, this.#end + 1, remaining);
    at = writeUint16(piece, at, topicBytes);
    at += writeText(piece, at, topic, topicBytes);
    at = writeUint16(piece, at, packetId);
    this.#end =
      at +
      (typeof payload === "string" ? writeText(piece, at, payload, payloadBytes) : payload.copy(piece, at));
  }

  /** Writes what was added. */
  flush(): void {
    if (this.#start === this.#end) return;
    const reusable = this.#write(this.#piece.subarray(this.#start, this.#end));
    if (reusable) this.#end = 0;
    this.#start = this.#end;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#piece.length) return;
    this.flush();
    if (this.#end + bytes <= this.#piece.length) return;
    this.#piece = Buffer.allocUnsafeSlow(Math.max(pieceBytes, bytes));
    this.#start = 0;
    this.#end = 0;
  }
}

/** Of a remaining length [MQTT-2.2.3]. */
function lengthBytes(remaining: number): number {
  if (remaining < 128) return 1;
  if (remaining < 16_384) return 2;
  return remaining < 2_097_152 ? 3 : 4;
}

function writeLength(piece: Buffer, place: number, remaining: number): number {
  let at = place;
  let left = remaining;
  while (left > 0x7f) {
    piece[at++] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  piece[at++] = left;
  return at;
}

function writeUint16(piece: Buffer, at: number, value: number): number {
  piece[at] = value >>> 8;
  piece[at + 1] = value & 0xff;
  return at + 2;
}

/** As many bytes as characters is ASCII, which is a plain copy. */
const writeText = (piece: Buffer, at: number, text: string, bytes: number): number =>
  piece.write(text, at, bytes === text.length ? "latin1" : "utf8");
