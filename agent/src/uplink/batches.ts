/**
 * Ticks on their way into messages. A message holds records of one stream: one by itself, or with `lingerMs` those
 * that came within that time.
 */
import type { InFlight } from "./window.ts";

export interface BatchLimits {
  /** How long a tick waits for others of its stream; 0 sends each by itself at once. */
  lingerMs: number;
  /** Most records in one message. */
  maxBatch: number;
  /** Most streams that collect at the same time; beyond it the oldest message goes out early. */
  maxOpen: number;
}

/** Well below the largest packet that brokers take by default. */
const maxBatchBytes = 262_144;

export class Message {
  readonly topic: string;
  readonly entries: InFlight[];
  /** When it is to go out at the latest, monotonic. */
  readonly dueMs: number;
  /** Of the last time, monotonic. */
  sentMs = 0;
  /** Of the last time, among all that were sent; from 1. */
  order = 0;
  acknowledged = false;
  #bytes: number;

  constructor(first: InFlight, dueMs: number) {
    this.topic = first.tick.stream.topic;
    // Not an empty array that grows: for one entry that takes room for seventeen.
    this.entries = [first];
    this.#bytes = bytesOf(first);
    this.dueMs = dueMs;
  }

  /** Of its records as JSON; a binary batch is shorter. */
  get byteLength(): number {
    return this.#bytes;
  }

  add(entry: InFlight): void {
    this.entries.push(entry);
    this.#bytes += bytesOf(entry);
  }

  /** As JSON. */
  get records(): string[] {
    return this.entries.map(({ tick }) => tick.payload);
  }
}

const bytesOf = ({ tick }: InFlight): number => Buffer.byteLength(tick.payload) + 1;

export class Batches {
  readonly #limits: BatchLimits;
  /** By topic, in the order in which they are due. */
  readonly #open = new Map<string, Message>();

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  /** Returns a message that is to go out now: the tick's own, or an older one that has to make room. */
  add(entry: InFlight, nowMs: number): Message | undefined {
    const { lingerMs, maxBatch, maxOpen } = this.#limits;
    if (lingerMs === 0) return new Message(entry, nowMs);
    const message = this.#collect(entry, nowMs + lingerMs);
    if (message.entries.length >= maxBatch || message.byteLength >= maxBatchBytes)
      return this.#close(message);
    return this.#open.size > maxOpen ? this.takeDue(Number.POSITIVE_INFINITY) : undefined;
  }

  #collect(entry: InFlight, dueMs: number): Message {
    const { topic } = entry.tick.stream;
    const open = this.#open.get(topic);
    open?.add(entry);
    if (open !== undefined) return open;
    const message = new Message(entry, dueMs);
    this.#open.set(topic, message);
    return message;
  }

  /** Of the message that has waited longest; undefined when none waits. */
  get dueMs(): number | undefined {
    return this.#oldest?.dueMs;
  }

  /** The message that has waited longest, if it is due. */
  takeDue(nowMs: number): Message | undefined {
    const oldest = this.#oldest;
    return oldest !== undefined && oldest.dueMs <= nowMs ? this.#close(oldest) : undefined;
  }

  get #oldest(): Message | undefined {
    return this.#open.values().next().value;
  }

  #close(message: Message): Message {
    this.#open.delete(message.topic);
    return message;
  }
}
