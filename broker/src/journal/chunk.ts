/**
 * One turn's messages as one piece of memory and, on disk, one row: their frames, one behind the other.
 *
 * A frame is kept in *stored form*: the PUBLISH as it came, with the packet identifier field always present (QoS 0
 * messages get one, too), so that handing it on is a copy with two patches: the first byte and the identifier.
 * ```
 * 0x30 | original QoS << 1 | original retain · remaining length · topic length (2) · topic · identifier (2) · payload
 * ```
 */

/** Packet type and flags of the first byte of a frame. */
export const publishType = 0x30;

const noStarts = new Uint32Array(0);

export class Chunk {
  /** Position in the journal, growing; negative for chunks that only live in memory. */
  readonly id: number;
  readonly count: number;
  readonly byteLength: number;
  /** Absent while the chunk is only on disk. */
  bytes: Buffer | undefined;
  /** Offset of each frame, and behind the last one the end: `count + 1` entries; empty while only on disk. */
  starts: Uint32Array;
  /** Queues that have not settled all of their messages in it. */
  owners = 0;
  /** Queues that want its bytes in memory. */
  #holds = 0;

  constructor(id: number, count: number, byteLength: number) {
    this.id = id;
    this.count = count;
    this.byteLength = byteLength;
    this.starts = noStarts;
  }

  get loaded(): boolean {
    return this.bytes !== undefined;
  }

  /** Gives the chunk its bytes; the offsets are found by walking the frames when they are not at hand. */
  load(bytes: Buffer, starts: Uint32Array = startsOf(bytes, this.count)): void {
    this.bytes = bytes;
    this.starts = starts;
  }

  get durable(): boolean {
    return this.id >= 0;
  }

  hold(): void {
    this.#holds++;
  }

  /** The bytes of a durable chunk that nobody wants in memory go; they can be read again. */
  release(): void {
    this.#holds--;
    if (this.#holds > 0 || !this.durable) return;
    this.bytes = undefined;
    this.starts = noStarts;
  }

  /** The QoS that the publisher used. */
  qosOf(index: number): number {
    return ((this.#loaded[this.starts[index] as number] as number) >> 1) & 3;
  }

  topicOf(index: number): string {
    const bytes = this.#loaded;
    const body = bodyOf(bytes, this.starts[index] as number);
    return bytes.toString("utf8", body + 2, body + 2 + bytes.readUInt16BE(body));
  }

  payloadOf(index: number): Buffer {
    const bytes = this.#loaded;
    const body = bodyOf(bytes, this.starts[index] as number);
    return bytes.subarray(body + 4 + bytes.readUInt16BE(body), this.starts[index + 1]);
  }

  get #loaded(): Buffer {
    if (this.bytes === undefined) throw new Error(`chunk ${this.id} is not in memory`);
    return this.bytes;
  }
}

/** Where the variable header of a frame begins. */
export function bodyOf(bytes: Buffer, start: number): number {
  let body = start + 1;
  while ((bytes[body++] as number) > 0x7f);
  return body;
}

/** Writes an MQTT remaining length; returns the offset behind it. */
export function writeRemainingLength(bytes: Buffer, offset: number, value: number): number {
  let rest = value;
  let at = offset;
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

function startsOf(bytes: Buffer, count: number): Uint32Array {
  const starts = new Uint32Array(count + 1);
  let at = 0;
  for (let index = 0; index < count; index++) {
    starts[index] = at;
    at = endOf(bytes, at);
  }
  starts[count] = at;
  return starts;
}

/** Where the frame that begins at `start` ends. */
function endOf(bytes: Buffer, start: number): number {
  let at = start + 1;
  let remaining = 0;
  let shift = 0;
  let digit: number;
  do {
    digit = bytes[at++] as number;
    remaining |= (digit & 0x7f) << shift;
    shift += 7;
  } while (digit > 0x7f);
  return at + remaining;
}

export function remainingLengthSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}

/** Gathers frames into a chunk. */
export class ChunkBuilder {
  #bytes: Buffer;
  #length = 0;
  #starts: number[] = [];

  constructor(sizeHint: number) {
    this.#bytes = Buffer.allocUnsafeSlow(sizeHint);
  }

  get count(): number {
    return this.#starts.length;
  }

  get byteLength(): number {
    return this.#length;
  }

  /** Adds a PUBLISH frame as it came, whatever its QoS; returns its index. */
  add(bytes: Buffer, start: number, body: number, end: number): number {
    const qos = ((bytes[start] as number) >> 1) & 3;
    return qos === 0 ? this.addFrameWithoutId(bytes, start, body, end) : this.addFrame(bytes, start, end);
  }

  /** Adds a PUBLISH frame of QoS 1 or 2 as it came; returns its index. */
  addFrame(bytes: Buffer, start: number, end: number): number {
    const size = end - start;
    this.#ensure(size);
    const at = this.#length;
    bytes.copy(this.#bytes, at, start, end);
    // Without DUP: that flag tells about one hop only [MQTT-3.3.1-3].
    this.#bytes[at] = (bytes[start] as number) & ~0x08;
    return this.#took(size);
  }

  /** Adds a QoS 0 PUBLISH frame, giving it the identifier field of the stored form; returns its index. */
  addFrameWithoutId(bytes: Buffer, start: number, body: number, end: number): number {
    const topicEnd = body + 2 + bytes.readUInt16BE(body);
    const remaining = end - body + 2;
    const size = 1 + remainingLengthSize(remaining) + remaining;
    this.#ensure(size);
    const at = this.#length;
    this.#bytes[at] = (bytes[start] as number) & ~0x08;
    let to = writeRemainingLength(this.#bytes, at + 1, remaining);
    to += bytes.copy(this.#bytes, to, body, topicEnd);
    to = this.#bytes.writeUInt16BE(0, to);
    bytes.copy(this.#bytes, to, topicEnd, end);
    return this.#took(size);
  }

  /** The chunk of everything added; the builder is not used again. */
  finish(id: number): Chunk {
    const used = this.#bytes.subarray(0, this.#length);
    // A chunk may wait for long: it must not keep much more memory than its messages.
    const bytes = this.#length * 2 < this.#bytes.length ? Buffer.from(used) : used;
    const starts = Uint32Array.from([...this.#starts, this.#length]);
    const chunk = new Chunk(id, this.#starts.length, this.#length);
    chunk.load(bytes, starts);
    return chunk;
  }

  #took(size: number): number {
    this.#starts.push(this.#length);
    this.#length += size;
    return this.#starts.length - 1;
  }

  #ensure(size: number): void {
    const wanted = this.#length + size;
    if (wanted <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** A PUBLISH of the broker's own as a frame, for the same way into a chunk as everybody's. */
export function encodePublish(
  topic: string,
  payload: Uint8Array,
  flags: { qos: 0 | 1 | 2; retain: boolean },
): Buffer {
  const name = Buffer.from(topic);
  const idSize = flags.qos > 0 ? 2 : 0;
  const remaining = 2 + name.length + idSize + payload.length;
  const frame = Buffer.alloc(1 + remainingLengthSize(remaining) + remaining);
  frame[0] = publishType | (flags.qos << 1) | (flags.retain ? 1 : 0);
  let at = writeRemainingLength(frame, 1, remaining);
  at = frame.writeUInt16BE(name.length, at);
  at += name.copy(frame, at);
  frame.set(payload, at + idSize);
  return frame;
}
