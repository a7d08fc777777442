import type { Chunk } from "./chunk.ts";

/** Indexes into a chunk in growing order; while they are one run, only its begin and length are kept. */
export class Indexes {
  #first = 0;
  #count = 0;
  #list: number[] | undefined;

  get count(): number {
    return this.#count;
  }

  add(index: number): void {
    if (this.#count === 0) this.#first = index;
    else if (this.#list === undefined && index !== this.#first + this.#count) {
      this.#list = Array.from({ length: this.#count }, (_, at) => this.#first + at);
    }
    this.#list?.push(index);
    this.#count++;
  }

  /** The index at a place below `count`. */
  at(place: number): number {
    return this.#list === undefined ? this.#first + place : (this.#list[place] as number);
  }
}

/** Failed attempts of a message, and when and why they failed. */
export interface FailedAttempts {
  attempts: number;
  /** Milliseconds since 1970. */
  firstTimeMs: number;
  lastTimeMs: number;
  reason: string;
}

/** One queue's share of a chunk: which of its messages the queue must deliver, and how far it is with them. */
export class Slice {
  readonly chunk: Chunk;
  /** The least of the publisher's QoS and this one is delivered. */
  readonly qosCap: number;
  /** Tells apart the slices that one queue has of one chunk. */
  readonly part: number;
  /** Sent because of a new subscription: with the RETAIN flag [MQTT-3.3.1-8]. */
  readonly retained: boolean;
  readonly #indexes: Indexes;
  /** How many have been handed out. */
  #taken = 0;
  /** How many of those are not worked on here although they are not settled. */
  #forgotten = 0;
  /** Another broker delivers what comes back of it. */
  elsewhere = false;
  unsettled: number;
  /** By chunk index: what failed before this broker had the slice. */
  earlier: Map<number, FailedAttempts> | undefined;
  /** By chunk index, one bit each; made when the first message is settled while others are not. */
  #settledBits: Uint8Array | undefined;

  constructor(
    chunk: Chunk,
    indexes: Indexes,
    options: { qosCap?: number; part?: number; retained?: boolean } = {},
  ) {
    this.chunk = chunk;
    this.#indexes = indexes;
    this.unsettled = indexes.count;
    this.qosCap = options.qosCap ?? 2;
    this.part = options.part ?? 0;
    this.retained = options.retained ?? false;
  }

  /** The messages that a bitmap of unsettled ones names; all of the chunk without one. */
  static recovered(
    chunk: Chunk,
    unsettledBits: Uint8Array | null,
    options?: { qosCap: number; part: number },
  ): Slice {
    const indexes = new Indexes();
    for (let index = 0; index < chunk.count; index++) {
      if (unsettledBits === null || hasBit(unsettledBits, index)) indexes.add(index);
    }
    return new Slice(chunk, indexes, options);
  }

  get count(): number {
    return this.#indexes.count;
  }

  /** How many wait to be handed out. */
  get waiting(): number {
    return this.#indexes.count - this.#taken;
  }

  /** Bytes of the frames, approximated by their share of the chunk. */
  get byteLength(): number {
    return Math.ceil((this.chunk.byteLength * this.count) / Math.max(1, this.chunk.count));
  }

  /** How many were handed out, and are neither settled nor forgotten. */
  get inFlight(): number {
    return this.#taken - (this.count - this.unsettled) - this.#forgotten;
  }

  /** One that was handed out will not be settled here. */
  forget(): void {
    this.#forgotten++;
  }

  /** The chunk index of the message at a place below `count`. */
  indexAt(place: number): number {
    return this.#indexes.at(place);
  }

  /** The next index to hand out. Call only while `waiting` is not zero. */
  take(): number {
    return this.#indexes.at(this.#taken++);
  }

  /** Marks one message as settled; returns true when that was the last one. */
  settle(index: number): boolean {
    this.unsettled--;
    if (this.unsettled === 0) return true;
    this.#settledBits ??= new Uint8Array(bitmapSize(this.chunk));
    setBit(this.#settledBits, index);
    return false;
  }

  /** Bitmap of what is not settled, by chunk index; null when that is the whole chunk. */
  unsettledBits(): Uint8Array | null {
    if (this.count === this.chunk.count && this.#settledBits === undefined) return null;
    const bits = new Uint8Array(bitmapSize(this.chunk));
    for (let place = 0; place < this.count; place++) setBit(bits, this.#indexes.at(place));
    for (const [at, settled] of this.#settledBits?.entries() ?? [])
      bits[at] = (bits[at] as number) & ~settled;
    return bits;
  }
}

function bitmapSize(chunk: Chunk): number {
  return (chunk.count + 7) >> 3;
}

function setBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7));
}

function hasBit(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] as number) & (1 << (index & 7))) !== 0;
}
