import type { Backlog } from "./backlog.ts";
import type { KeyOrder } from "./key-order.ts";
import type { Member } from "./member.ts";

/** One filter of a pool: its queue, who takes from it, and its order where keys matter. */
export class Lane {
  readonly filter: string;
  readonly backlog: Backlog;
  order: KeyOrder | undefined;
  /** In the order of joining. */
  takers: Member[] = [];
  /** Since when nobody takes from it, monotonic. */
  emptySinceMs: number;

  constructor(filter: string, backlog: Backlog, emptySinceMs: number) {
    this.filter = filter;
    this.backlog = backlog;
    this.emptySinceMs = emptySinceMs;
  }

  /** Messages that no member holds. */
  get waiting(): number {
    return this.backlog.waiting + (this.order?.parked ?? 0);
  }

  /** The same, with those that wait on other brokers, as far as is known. */
  get waitingEverywhere(): number {
    return this.backlog.waitingEverywhere + (this.order?.parked ?? 0);
  }

  /** Somebody takes from it who is no guest. */
  get taken(): boolean {
    return this.takers.some(({ guest }) => !guest);
  }

  /** Messages are done: they come from here no more. */
  dropAll(): number {
    return (this.order?.dropParked() ?? 0) + this.backlog.dropAll();
  }
}
