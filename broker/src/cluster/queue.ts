import type { QueueId } from "../journal/journal.ts";
import type { Slice } from "../journal/slice.ts";
import type { Fed } from "../pool/feed.ts";
import type { Entry } from "./entry.ts";
import type { Holding } from "./holding.ts";
import { type Keys, queueName } from "./keys.ts";
import { plainLayout } from "./order/layout.ts";
import type { Shards } from "./order/shards.ts";

/** What is said of a queue, the same on all brokers. */
export interface QueueTerms {
  /** Bytes at which the engine drops the oldest messages; `undefined` where it never does. */
  dropAtBytes: number | undefined;
}

/** A queue of the cluster as one broker sees it. */
export class SharedQueue implements Holding {
  readonly id: QueueId;
  readonly pool: string;
  readonly filter: string;
  readonly name: string;
  readonly stream: string;
  readonly state: string;
  terms: QueueTerms = { dropAtBytes: undefined };
  fed: Fed | undefined;
  /** Present where the messages of a key are kept in order: they are in its streams, and none in the queue's own. */
  shards: Shards | undefined;
  /** The cluster orders it in a way that this broker does not: it is not opened. */
  foreign = false;
  readonly fence = undefined;
  /** Entries that this broker holds. */
  readonly held = new Map<Slice, Entry>();
  /** Entries that are settled, and that the engine has not been told of. */
  done: Entry[] = [];
  /** Entries of which something was settled since the engine was told. */
  readonly dirty = new Set<Entry>();
  /** The engine was asked for messages and has not answered. */
  reading = false;
  /** The last question brought less than it asked for. */
  empty = false;
  /** Something has come since the engine was asked for messages. */
  called = false;
  /** The engine calls this broker when something comes. */
  listed = false;
  /** There may be entries that another broker held. */
  released = true;
  /** There have been members here since the engine was told so. */
  joined = false;
  /** The engine has had no answer yet to whether the queue exists. */
  opened = false;

  constructor(keys: Keys, id: QueueId, pool: string, filter: string) {
    this.id = id;
    this.pool = pool;
    this.filter = filter;
    this.name = queueName(pool, filter);
    this.stream = keys.stream(this.name);
    this.state = keys.state(this.name);
  }

  /** How it is divided, as brokers compare it. */
  get layout(): string {
    return this.shards?.layout.text ?? plainLayout;
  }

  /** Where an entry is accounted for; `undefined` for one that this broker does not hold any more. */
  holdingOf(slice: Slice): Holding | undefined {
    return this.shards === undefined ? this : this.shards.leaseOf(slice);
  }

  /** Something has come that was waited for. */
  call(): void {
    this.shards?.call();
    this.called = true;
    this.listed = false;
    this.empty = false;
  }

  get heldCount(): number {
    return this.held.size + (this.shards?.heldCount ?? 0);
  }

  refused(): void {
    throw new Error("what has no owner is not refused");
  }

  /** Messages that this broker takes as soon as it has stored some, if nobody else has taken them before. */
  get atOnce(): number {
    // What is older and was released goes first; what is asked for just now is for the same members.
    if (!this.opened || !this.joined || this.released || this.reading || this.shards !== undefined) return 0;
    return Math.max(0, this.fed?.atOnce?.() ?? 0);
  }

  /** The engine has said how much is unsettled on all brokers together. */
  noteTotals(bytes: number, messages: number): void {
    this.fed?.backlog.noteTotals(bytes, messages);
  }

  /** Takes an entry that the engine has given to this broker. */
  take(entry: Entry): void {
    this.held.set(entry.slice, entry);
    this.push(entry);
  }

  /** Hands an entry's messages to the broker's members. */
  push(entry: Entry): void {
    const { chunk } = entry.slice;
    chunk.hold();
    this.fed?.backlog.push(entry.slice);
    chunk.release();
  }

  /** Other brokers have what this one held: nothing that waits here is delivered, nothing is noted any more. */
  lose(): void {
    if (this.shards !== undefined) return this.shards.lose();
    for (const entry of this.held.values()) entry.lost = true;
    this.dirty.clear();
    this.fed?.backlog.giveUp();
  }
}
