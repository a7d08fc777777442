/** Where messages of backlogs come from that several brokers share: from the cluster's queue, as many as are wanted. */
import type { QueueId } from "../journal/journal.ts";
import type { Backlog } from "./backlog.ts";

/** A backlog as its feed sees it. */
export interface Fed {
  readonly backlog: Backlog;
  /** It has members of its own on this broker, or stays without. */
  readonly taken: boolean;
  /** Bytes of the queue at which its oldest messages are dropped; `undefined` where they never are. */
  readonly dropAtBytes: number | undefined;
  /** Messages that members could be given now beyond those that wait here; `undefined` when there are no members. */
  wanted(): number | undefined;
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
