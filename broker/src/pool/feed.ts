/** Where messages of backlogs come from that several brokers share: from the cluster's queue, as many as are wanted. */
import type { QueueId } from "../journal/journal.ts";
import type { Slice } from "../journal/slice.ts";
import type { Backlog } from "./backlog.ts";

/** A backlog of an ordered pool: the feed gives it all messages of a key, or none. */
export interface Ordered {
  /** Those that take from it and do not rest. */
  readonly members: number;
  /** Messages a second that they can do together, as far as is known. */
  readonly perSecond: number;
  /** Forgets what waits here of slices that are another broker's to deliver. */
  letGo(gone: (slice: Slice) => boolean): void;
}

/** A backlog as its feed sees it. */
export interface Fed {
  readonly backlog: Backlog;
  /** It has members of its own on this broker, or stays without. */
  readonly taken: boolean;
  /** Bytes of the queue at which its oldest messages are dropped; `undefined` where they never are. */
  readonly dropAtBytes: number | undefined;
  /** Messages that members could be given now beyond those that wait here; `undefined` when there are no members. */
  wanted(): number | undefined;
  /**
   * Messages that members who have nothing to do could begin with now: what is published here may be theirs without
   * anybody being asked. Absent where the messages are one receiver's.
   */
  atOnce?(): number;
  /** Present where the messages of a key are kept in order. */
  ordered?(): Ordered | undefined;
  /** What its messages are ordered by, `topic` or a top-level field of the JSON record; absent without order. */
  readonly key?: string | undefined;
}

export interface Feed {
  /** From now on the queue's messages are put into the backlog as they are wanted. */
  attach(queue: QueueId, fed: Fed): void;
  /** More may be wanted than before, or less. */
  ask(queue: QueueId): void;
  /** Forgets all that waits in the queue, on every broker. */
  empty(queue: QueueId): void;
  /** Some broker has members for the pool. */
  taken(pool: string): boolean;
}
