import type { Slice } from "../journal/slice.ts";
import type { Backlog } from "./backlog.ts";
import type { Ordered } from "./feed.ts";
import type { KeyOrder } from "./key-order.ts";
import type { Member } from "./member.ts";

/** What is measured of quicker members is mostly the time between two turns. */
const shortestServiceMs = 2;

/** A member that takes more than so many times as long as the quickest is not among the quick ones. */
const quick = 3;

/** Messages fed before there is credit for them. */
const readAhead = 256;

/** One filter of a pool: its queue, who takes from it, and its order where keys matter. */
export class Lane implements Ordered {
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

  /**
   * Messages to be fed beyond those that wait here, where there is order: some ahead of the members' credit, because
   * nobody else could be given them. What is parked for a member without credit keeps nobody else from working.
   */
  wanted(freeCredit: number): number {
    const { backlog, order } = this;
    if (order === undefined) return freeCredit - this.waiting;
    const ready = backlog.waiting + order.ready;
    return ready > readAhead / 2 ? freeCredit - ready : Math.min(freeCredit + readAhead - ready, order.room);
  }

  /** Those of some members that have nothing to do and are about as quick as the quickest. */
  idle(among: readonly Member[]): number {
    const slowestMs =
      quick * Math.min(...this.takers.map(({ serviceMs = Number.POSITIVE_INFINITY }) => serviceMs));
    return among.filter(({ inFlight, serviceMs = 0 }) => inFlight === 0 && serviceMs <= slowestMs).length;
  }

  get members(): number {
    return this.#working.length;
  }

  /** One that is not known yet is taken for the mean of the others. */
  get perSecond(): number {
    const working = this.#working;
    const known = working.flatMap(({ serviceMs }) =>
      serviceMs === undefined ? [] : [1_000 / Math.max(serviceMs, shortestServiceMs)],
    );
    if (known.length === 0) return (working.length * 1_000) / shortestServiceMs;
    return (known.reduce((sum, rate) => sum + rate, 0) / known.length) * working.length;
  }

  /** If all rest, there is nobody better. */
  get #working(): readonly Member[] {
    const working = this.takers.filter(({ resting }) => !resting);
    return working.length > 0 ? working : this.takers;
  }

  letGo(gone: (slice: Slice) => boolean): void {
    this.order?.letGo(gone);
    this.backlog.letGo(gone);
  }

  /** Messages are done: they come from here no more. */
  dropAll(): number {
    return (this.order?.dropParked() ?? 0) + this.backlog.dropAll();
  }
}
