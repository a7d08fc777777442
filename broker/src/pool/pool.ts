import type { MemberReport, PoolReport } from "@equipoise/shared";
import type { Strategy } from "../strategy/index.ts";
import type { Backlog } from "./backlog.ts";
import type { Delivery } from "./delivery.ts";
import { KeyOrder } from "./key-order.ts";
import { Member, type MemberOwner, type Receiver } from "./member.ts";

export type WhenFull = "backpressure" | "dropOldest" | "reject";

/** What a pool does, whoever its members are. */
export interface PoolPolicy {
  name: string;
  /** Named by the configuration: it exists without members and may push back on publishers. */
  declared: boolean;
  strategy: Strategy;
  ordering: "none" | "key";
  /** `topic`, or a top-level field of the JSON record. */
  key: string;
  /** A member that holds a message this long without answering has failed it. */
  ackTimeoutMs: number;
  /** Failed attempts after which a message is a dead letter. */
  maxDeliveries: number;
  maxBacklogBytes: number;
  whenFull: WhenFull;
  /** How long a declared pool keeps its backlog without members; for others see `undeclaredPools`. */
  retainWhenEmptyMs: number;
}

/** How a pool reaches the rest of the broker. */
export interface PoolSurroundings {
  /** Asks for `drain` to be called later in this turn. */
  wake(pool: Pool): void;
  /** Makes the backlog of a filter and has the router fill it. */
  openBacklog(pool: Pool, filter: string): Backlog;
  onDropped(pool: Pool, messages: number): void;
  /** An attempt has failed; the failure is noted in the delivery. */
  onFailed(pool: Pool, member: Member, delivery: Delivery): void;
  /** Too many attempts: keeps the message as a dead letter, then settles it, or gives it back when it cannot. */
  bury(pool: Pool, filter: string, delivery: Delivery): void;
  wallMs(): number;
  monotonicMs(): number;
}

/** How long a failed message waits for another member to have credit, before the same one may have it again. */
const patienceMs = 1_000;

/** One filter of a pool: its queue, who takes from it, and its order where keys matter. */
interface Lane {
  filter: string;
  /** Since when nobody takes from it, monotonic. */
  emptySinceMs: number;
  backlog: Backlog;
  /** In the order of joining. */
  takers: Member[];
  order: KeyOrder | undefined;
}

/**
 * A consumer group: hands every message of its backlogs to exactly one member, when that member has a free credit.
 * Messages wait here, not in members.
 */
export class Pool implements MemberOwner {
  readonly policy: PoolPolicy;
  readonly #surroundings: PoolSurroundings;
  readonly #lanes = new Map<string, Lane>();
  readonly #byBacklog = new Map<Backlog, Lane>();
  readonly #members = new Map<Receiver, Member>();
  /** Members that have left and still hold messages. */
  readonly #leaving = new Set<Member>();
  #redelivered = 0;

  constructor(policy: PoolPolicy, surroundings: PoolSurroundings) {
    this.policy = policy;
    this.#surroundings = surroundings;
  }

  get name(): string {
    return this.policy.name;
  }

  get memberCount(): number {
    return this.#members.size;
  }

  get filters(): Iterable<string> {
    return this.#lanes.keys();
  }

  get filterCount(): number {
    return this.#lanes.size;
  }

  /** Messages that no member holds. */
  get waiting(): number {
    let waiting = 0;
    for (const { backlog, order } of this.#lanes.values()) waiting += backlog.waiting + (order?.parked ?? 0);
    return waiting;
  }

  backlogOf(filter: string): Backlog | undefined {
    return this.#lanes.get(filter)?.backlog;
  }

  /** Adds a backlog that the journal has kept, or that the configuration names. */
  adopt(filter: string, backlog: Backlog): void {
    const emptySinceMs = this.#surroundings.monotonicMs();
    const lane: Lane = { filter, emptySinceMs, backlog, takers: [], order: undefined };
    const { ordering, key } = this.policy;
    if (ordering === "key") {
      const choose = (delivery: Delivery) => this.#choose(lane, eligibleOf(lane), delivery);
      lane.order = new KeyOrder({ backlog, key, choose });
    }
    this.#lanes.set(filter, lane);
    this.#byBacklog.set(backlog, lane);
  }

  hasFilter(filter: string): boolean {
    return this.#lanes.has(filter);
  }

  /** Subscribes a receiver to a filter of the pool. */
  join(receiver: Receiver, filter: string, qos: number): Member {
    const { backlog, takers } = this.#laneOf(filter);
    let member = this.#members.get(receiver);
    if (member === undefined) {
      member = new Member(receiver, this);
      this.#members.set(receiver, member);
    }
    const joined = member.subscriptions.has(backlog);
    member.subscriptions.set(backlog, qos);
    if (!joined) takers.push(member);
    this.#surroundings.wake(this);
    return member;
  }

  /** Ends one subscription; what the member has in flight stays with it until it answers or its connection ends. */
  leave(receiver: Receiver, filter: string): void {
    const member = this.#members.get(receiver);
    const lane = this.#lanes.get(filter);
    if (member === undefined || lane === undefined) return;
    member.subscriptions.delete(lane.backlog);
    lane.takers = lane.takers.filter((taker) => taker !== member);
    lane.emptySinceMs = this.#surroundings.monotonicMs();
    if (member.subscriptions.size > 0) return;
    this.#members.delete(receiver);
    if (member.inFlight > 0) this.#leaving.add(member);
  }

  /** Filters that nobody has taken from since before a time. */
  abandoned(beforeMs: (filter: string) => number): string[] {
    return [...this.#lanes.values()]
      .filter(({ takers, emptySinceMs, filter }) => takers.length === 0 && emptySinceMs <= beforeMs(filter))
      .map(({ filter }) => filter);
  }

  /** Ends one filter: its backlog is forgotten. Returns how many messages waited in it. */
  drop(filter: string): number {
    const lane = this.#lanes.get(filter);
    if (lane === undefined) return 0;
    const waiting = lane.backlog.waiting + (lane.order?.parked ?? 0);
    lane.backlog.close();
    this.#lanes.delete(filter);
    this.#byBacklog.delete(lane.backlog);
    return waiting;
  }

  /** Forgets what waits under a filter, and begins to count anew for how long nobody takes from it. */
  empty(filter: string): void {
    const lane = this.#lanes.get(filter);
    if (lane === undefined) return;
    lane.emptySinceMs = this.#surroundings.monotonicMs();
    this.#noteDropped((lane.order?.dropParked() ?? 0) + lane.backlog.dropAll());
  }

  /** The member of a receiver. */
  member(receiver: Receiver): Member | undefined {
    return this.#members.get(receiver);
  }

  onFreed(): void {
    if (this.waiting > 0) this.#surroundings.wake(this);
  }

  onAcknowledged(delivery: Delivery): void {
    this.#byBacklog.get(delivery.backlog)?.order?.done(delivery);
    delivery.backlog.settle(delivery);
  }

  onFailed(member: Member, delivery: Delivery, reason: string): void {
    if (delivery.backlog.closed) return delivery.backlog.putBack(delivery);
    const lastTimeMs = this.#surroundings.wallMs();
    delivery.attempts++;
    delivery.avoid = member;
    delivery.failedAtMs = this.#surroundings.monotonicMs();
    delivery.failures = { firstTimeMs: delivery.failures?.firstTimeMs ?? lastTimeMs, lastTimeMs, reason };
    this.#surroundings.onFailed(this, member, delivery);
    const filter = this.#byBacklog.get(delivery.backlog)?.filter;
    // Later messages of its key are on the wire there: only the end of the connection keeps the order.
    const overtaken = member.holdsMoreOf(delivery);
    if (filter !== undefined && delivery.attempts >= this.policy.maxDeliveries) {
      this.#surroundings.bury(this, filter, delivery);
    } else {
      this.onReturned(delivery);
      if (overtaken) member.receiver.disconnect("orderKept");
    }
  }

  /** A dead letter could not be kept: the message is to be delivered again, before what came after it. */
  onNotBuried(delivery: Delivery): void {
    const { key } = delivery;
    const overtaker = key !== undefined && key.inFlight > 1 ? key.holder : undefined;
    this.onReturned(delivery);
    overtaker?.receiver.disconnect("orderKept");
  }

  onReturned(delivery: Delivery): void {
    const order = this.#byBacklog.get(delivery.backlog)?.order;
    if (order === undefined || delivery.backlog.closed) return delivery.backlog.putBack(delivery);
    order.giveBack(delivery);
    this.#surroundings.wake(this);
  }

  /** Messages have arrived in, or come back to, a backlog. */
  onReady(backlog: Backlog): void {
    if (backlog.dropsWhenFull && backlog.full) this.#noteDropped(backlog.dropOldest());
    this.#surroundings.wake(this);
  }

  /** Takes from members what they have held for too long, and looks after what waits for another member. */
  expire(nowMs: number): void {
    const { ackTimeoutMs, ordering } = this.policy;
    this.onFreed();
    for (const member of [...this.#members.values(), ...this.#leaving]) {
      if (member.inFlight === 0) this.#leaving.delete(member);
      const before = member.timeouts;
      member.expire(nowMs - ackTimeoutMs, `no answer within ${ackTimeoutMs} ms`);
      if (ordering === "key" && member.timeouts > before) member.receiver.disconnect("ackTimeout");
    }
  }

  /** Hands out what waits for as long as members have credit. */
  drain(): void {
    for (const lane of this.#lanes.values()) {
      if (lane.takers.length === 0) continue;
      if (lane.order !== undefined) lane.order.drain();
      else if (lane.backlog.waiting > 0) this.#drainLane(lane);
    }
  }

  #drainLane(lane: Lane): void {
    let eligible = eligibleOf(lane);
    const later: Delivery[] = [];
    while (eligible.length > 0) {
      const delivery = lane.backlog.take();
      if (delivery === undefined) break;
      const member = this.#choose(lane, eligible, delivery);
      if (member === "later" || member === "nobody") {
        later.push(delivery);
        continue;
      }
      member.take(delivery);
      if (!member.eligible) eligible = eligible.filter((other) => other !== member);
    }
    for (const delivery of later.reverse()) lane.backlog.putAside(delivery);
  }

  /**
   * Who gets a message now. One that has failed it does not get it again while there are others: for a while the
   * message waits for one of them.
   */
  #choose(lane: Lane, eligible: readonly Member[], delivery: Delivery): Member | "later" | "nobody" {
    if (eligible.length === 0) return "nobody";
    const pick = this.policy.strategy.pick(this.#others(lane, eligible, delivery));
    if (pick.kind === "wait") return "later";
    if (delivery.repeated) this.#redelivered++;
    return pick.member;
  }

  #others(lane: Lane, eligible: readonly Member[], { avoid, failedAtMs }: Delivery): readonly Member[] {
    if (avoid === undefined) return eligible;
    const others = eligible.filter((member) => member !== avoid);
    if (others.length > 0) return others;
    const someoneElse = lane.takers.some((member) => member !== avoid && !member.draining);
    const waits = someoneElse && this.#surroundings.monotonicMs() - failedAtMs < patienceMs;
    return waits ? [] : eligible;
  }

  #noteDropped(messages: number): void {
    if (messages > 0) this.#surroundings.onDropped(this, messages);
  }

  report(): PoolReport & { memberReports: MemberReport[] } {
    const members = [...this.#members.values()];
    const backlogs = [...this.#byBacklog.keys()];
    const sum = <T>(items: readonly T[], of: (item: T) => number) =>
      items.reduce((total, item) => total + of(item), 0);
    return {
      name: this.name,
      members: members.length,
      backlog: this.waiting,
      backlogBytes: sum(backlogs, ({ byteLength }) => byteLength),
      inFlight: sum(members, ({ inFlight }) => inFlight),
      freeCredit: sum(members, ({ freeCredit }) => freeCredit),
      settled: sum(backlogs, ({ settled }) => settled),
      redelivered: this.#redelivered,
      dropped: sum(backlogs, ({ dropped }) => dropped),
      memberReports: members.map((member) => member.report()),
    };
  }

  #laneOf(filter: string): Lane {
    if (!this.#lanes.has(filter)) this.adopt(filter, this.#surroundings.openBacklog(this, filter));
    return this.#lanes.get(filter) as Lane;
  }
}

function eligibleOf({ takers }: Lane): Member[] {
  return takers.filter((member) => member.eligible);
}
