import type { QueueId } from "../journal/journal.ts";
import type { Slice } from "../journal/slice.ts";
import type { Fed } from "../pool/feed.ts";
import type { Entry } from "./entry.ts";
import { type Keys, queueName } from "./keys.ts";

/** What is said of a queue, the same on all brokers. */
export interface QueueTerms {
  /** Bytes at which the engine drops the oldest messages; `undefined` where it never does. */
  dropAtBytes: number | undefined;
}

/** A queue of the cluster as one broker sees it. */
export class SharedQueue {
  readonly id: QueueId;
  readonly pool: string;
  readonly filter: string;
  readonly name: string;
  readonly stream: string;
  readonly state: string;
  terms: QueueTerms = { dropAtBytes: undefined };
  fed: Fed | undefined;
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
  /** There may be entries that another broker held. */
  released = true;
  /** There have been members here since the engine was told so. */
  joined = false;
  /** Until then another broker that had the queue may still be given messages of it; monotonic. */
  contestedUntilMs = 0;
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

  /** The engine has said how much is unsettled on all brokers together. */
  noteTotals(bytes: number, messages: number): void {
    this.fed?.backlog.noteTotals(bytes, messages);
  }

  /** Takes an entry that the engine has given to this broker. */
  take(entry: Entry): void {
    this.held.set(entry.slice, entry);
    const { chunk } = entry.slice;
    chunk.hold();
    this.fed?.backlog.push(entry.slice);
    chunk.release();
  }

  /** Other brokers have what this one held: nothing that waits here is delivered, nothing is noted any more. */
  lose(): void {
    for (const entry of this.held.values()) entry.lost = true;
    this.dirty.clear();
    this.fed?.backlog.giveUp();
  }
}
