import type { Slice } from "../journal/slice.ts";
import type { Entry } from "./entry.ts";

/** By what the engine knows that a broker still owns a shard. */
export interface Fence {
  /** The hash with the marks of all shards of the queue. */
  readonly key: string;
  readonly shard: number;
  /** Different for every change of owner. */
  readonly mark: string;
}

/** What a broker holds of one stream of a queue, and what it has to tell the engine of it. */
export interface Holding {
  readonly stream: string;
  /** The hash beside the queue. */
  readonly state: string;
  /** Present for a shard. */
  readonly fence: Fence | undefined;
  /** Entries with anything unsettled. */
  readonly held: Map<Slice, Entry>;
  /** Entries that are settled, and that the engine has not been told of. */
  done: Entry[];
  /** Entries of which something was settled since the engine was told. */
  readonly dirty: Set<Entry>;
  /** The engine has said how much of the queue is unsettled on all brokers together. */
  noteTotals(bytes: number, messages: number): void;
  /** Another broker owns the shard: the engine has not taken note. */
  refused(entries: number): void;
}
