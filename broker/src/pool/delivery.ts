import type { Chunk } from "../journal/chunk.ts";
import type { Slice } from "../journal/slice.ts";
import type { Backlog } from "./backlog.ts";
import type { KeyState } from "./key-order.ts";

/** Who has a delivery in flight; told once how it ended. */
export interface Holder {
  /** The receiver took the message. `latencyMs` is the time since it was sent. */
  acknowledged(delivery: Delivery, latencyMs: number): void;
  /** The receiver said that it could not process the message: an attempt has failed. */
  rejected(delivery: Delivery, reason: string): void;
  /** The connection ended first. `failed` tells whether that counts as an attempt (it was not a clean end). */
  returned(delivery: Delivery, failed: boolean): void;
  /** The receiver answered for a message that was taken from it before: the identifier and the credit are free. */
  answeredLate(): void;
}

/** What is known of the failed attempts of a message. */
export interface Failures {
  /** When it was first sent, milliseconds since 1970. */
  firstTimeMs: number;
  lastTimeMs: number;
  reason: string;
}

/**
 * One message on its way to one receiver: taken from a backlog, then settled or given back exactly once.
 * The same object lives through all attempts of the message.
 */
export class Delivery {
  readonly backlog: Backlog;
  readonly slice: Slice;
  readonly index: number;
  /** Failed attempts so far. */
  attempts = 0;
  failures: Failures | undefined;
  /** It was sent before, to anybody. */
  repeated = false;
  /** Who failed it last; others come first in the next attempt. */
  avoid: Holder | undefined;
  /** When that was, monotonic. */
  failedAtMs = 0;
  /** Who has it in flight. */
  holder: Holder | undefined;
  /** Its key's state in an ordered pool, and its place among the messages of that key. */
  key: KeyState | undefined;
  place = 0;
  /** The holder's packet identifier while it is in flight; 0 otherwise. */
  packetId = 0;
  /** Monotonic. */
  sentAtMs = 0;

  constructor(backlog: Backlog, slice: Slice, index: number) {
    this.backlog = backlog;
    this.slice = slice;
    this.index = index;
    const earlier = slice.earlier?.get(index);
    if (earlier === undefined) return;
    this.attempts = earlier.attempts;
    this.failures = earlier;
    this.repeated = true;
  }

  get chunk(): Chunk {
    return this.slice.chunk;
  }

  /** QoS on the wire for a receiver that subscribed with `granted` [MQTT-3.8.4-6]. */
  qosFor(granted: number): number {
    return Math.min(this.chunk.qosOf(this.index), this.slice.qosCap, granted);
  }

  get topic(): string {
    return this.chunk.topicOf(this.index);
  }

  get payload(): Buffer {
    return this.chunk.payloadOf(this.index);
  }
}
