/** The benchmark's message: 100 bytes of payload that begin with who sent it, its number and when. */
import { generate } from "mqtt-packet";

export const payloadBytes = 100;

/** Offsets in the payload. */
const publisherAt = 0;
const numberAt = 4;
const sentAtUsAt = 8;

/** PUBLISH frames of one publisher, made by copying a template and patching number and packet identifier. */
export class Frames {
  readonly #publisher: number;
  readonly #template: Buffer;
  readonly #qos: 0 | 1;
  #packetId = 0;
  /** Messages made so far; the next one has this number. */
  count = 0;

  constructor(topic: string, publisher: number, qos: 0 | 1) {
    this.#publisher = publisher;
    this.#qos = qos;
    const packetId = qos === 0 ? {} : { messageId: 1 };
    const payload = Buffer.alloc(payloadBytes, "x");
    this.#template = generate({
      cmd: "publish",
      topic,
      payload,
      qos,
      dup: false,
      retain: false,
      ...packetId,
    });
  }

  /** The next `count` messages, one behind the other. */
  next(count: number): Buffer {
    const size = this.#template.length;
    const bytes = Buffer.allocUnsafe(count * size);
    const nowUs = performance.now() * 1_000;
    for (let at = 0; at < bytes.length; at += size) {
      this.#template.copy(bytes, at);
      const payload = at + size - payloadBytes;
      bytes.writeUInt32LE(this.#publisher, payload + publisherAt);
      bytes.writeUInt32LE(this.count++, payload + numberAt);
      bytes.writeDoubleLE(nowUs, payload + sentAtUsAt);
      if (this.#qos > 0) this.#identify(bytes, payload - 2);
    }
    return bytes;
  }

  #identify(bytes: Buffer, at: number): void {
    this.#packetId = this.#packetId === 0xffff ? 1 : this.#packetId + 1;
    bytes[at] = this.#packetId >> 8;
    bytes[at + 1] = this.#packetId & 0xff;
  }
}

/** Which messages have arrived at one receiver, or at the members of one pool together. */
export class Arrivals {
  readonly #seen: Uint8Array[] = [];
  /** Different messages. */
  count = 0;
  repeated = 0;

  note(bytes: Buffer, payload: number): void {
    const publisher = readUInt32(bytes, payload + publisherAt);
    const number = readUInt32(bytes, payload + numberAt);
    const at = number >> 3;
    const bit = 1 << (number & 7);
    let seen = this.#seen[publisher];
    if (seen === undefined || at >= seen.length) seen = this.#grow(publisher, at);
    if (((seen[at] as number) & bit) !== 0) {
      this.repeated++;
      return;
    }
    seen[at] = (seen[at] as number) | bit;
    this.count++;
  }

  #grow(publisher: number, at: number): Uint8Array {
    const grown = new Uint8Array(Math.max(8_192, at * 2));
    const old = this.#seen[publisher];
    if (old !== undefined) grown.set(old);
    this.#seen[publisher] = grown;
    return grown;
  }
}

/** Microseconds between sending and now, by this process' clock. */
export function ageUs(bytes: Buffer, payload: number): number {
  return performance.now() * 1_000 - bytes.readDoubleLE(payload + sentAtUsAt);
}

function readUInt32(bytes: Buffer, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
  return (low | ((bytes[at + 3] as number) << 24)) >>> 0;
}
