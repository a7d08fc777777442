import type { MemberReport, PoolReport } from "@equipoise/shared";
import type { Strategy } from "../strategy/index.ts";
import type { Backlog } from "./backlog.ts";
import type { Delivery } from "./delivery.ts";
import { Member, type MemberOwner, type Receiver } from "./member.ts";

export type WhenFull = "backpressure" | "dropOldest" | "reject";

/** What a pool does, whoever its members are. */
export interface PoolPolicy {
  name: string;
  /** Named by the configuration: it exists without members and may push back on publishers. */
  declared: boolean;
  strategy: Strategy;
  maxBacklogBytes: number;
  whenFull: WhenFull;
}

/** How a pool reaches the rest of the broker. */
export interface PoolSurroundings {
  /** Asks for `drain` to be called later in this turn. */
  wake(pool: Pool): void;
  /** Makes the backlog of a filter and has the router fill it. */
  openBacklog(pool: Pool, filter: string): Backlog;
  onDropped(pool: Pool, messages: number): void;
  onRejected(pool: Pool, member: Member, delivery: Delivery, reason: string): void;
}

/**
 * A consumer group: hands every message of its backlogs to exactly one member, when that member has a free credit.
 * Messages wait here, not in members.
 */
export class Pool implements MemberOwner {
  readonly policy: PoolPolicy;
  readonly #surroundings: PoolSurroundings;
  readonly #backlogs = new Map<string, Backlog>();
  readonly #members = new Map<Receiver, Member>();
  /** Members that subscribed to each filter, in the order of joining. */
  readonly #takers = new Map<Backlog, Member[]>();
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

  get backlogs(): Iterable<Backlog> {
    return this.#backlogs.values();
  }

  get waiting(): number {
    let waiting = 0;
    for (const backlog of this.#backlogs.values()) waiting += backlog.waiting;
    return waiting;
  }

  /** Adds a backlog that the journal has kept, or that the configuration names. */
  adopt(filter: string, backlog: Backlog): void {
    this.#backlogs.set(filter, backlog);
    this.#takers.set(backlog, []);
  }

  hasFilter(filter: string): boolean {
    return this.#backlogs.has(filter);
  }

  /** Subscribes a receiver to a filter of the pool. */
  join(receiver: Receiver, filter: string, qos: number): Member {
    const backlog = this.#backlogOf(filter);
    let member = this.#members.get(receiver);
    if (member === undefined) {
      member = new Member(receiver, this);
      this.#members.set(receiver, member);
    }
    const joined = member.subscriptions.has(backlog);
    member.subscriptions.set(backlog, qos);
    if (!joined) this.#takers.get(backlog)?.push(member);
    this.#surroundings.wake(this);
    return member;
  }

  /** Ends one subscription; what the member has in flight stays with it until it answers or its connection ends. */
  leave(receiver: Receiver, filter: string): void {
    const member = this.#members.get(receiver);
    const backlog = this.#backlogs.get(filter);
    if (member === undefined || backlog === undefined) return;
    member.subscriptions.delete(backlog);
    const takers = this.#takers.get(backlog) ?? [];
    this.#takers.set(
      backlog,
      takers.filter((taker) => taker !== member),
    );
    if (member.subscriptions.size === 0) this.#members.delete(receiver);
  }

  /** The member of a receiver. */
  member(receiver: Receiver): Member | undefined {
    return this.#members.get(receiver);
  }

  onFreed(): void {
    if (this.waiting > 0) this.#surroundings.wake(this);
  }

  onRejected(member: Member, delivery: Delivery, reason: string): void {
    this.#surroundings.onRejected(this, member, delivery, reason);
  }

  /** Messages have arrived in, or come back to, a backlog. */
  onReady(backlog: Backlog): void {
    if (this.policy.whenFull === "dropOldest" && backlog.full) {
      const dropped = backlog.dropOldest();
      if (dropped > 0) this.#surroundings.onDropped(this, dropped);
    }
    this.#surroundings.wake(this);
  }

  /** Hands out what waits for as long as members have credit. */
  drain(): void {
    for (const [backlog, takers] of this.#takers) {
      if (takers.length > 0 && backlog.waiting > 0) this.#drainBacklog(backlog, takers);
    }
  }

  #drainBacklog(backlog: Backlog, takers: readonly Member[]): void {
    let eligible = takers.filter((member) => member.eligible);
    while (eligible.length > 0) {
      const delivery = backlog.take();
      if (delivery === undefined) return;
      const member = this.#choose(eligible, delivery);
      if (delivery.repeated) this.#redelivered++;
      member.take(delivery);
      if (!member.eligible) eligible = eligible.filter((other) => other !== member);
    }
  }

  #choose(eligible: readonly Member[], delivery: Delivery): Member {
    const others =
      delivery.avoid === undefined ? eligible : eligible.filter((member) => member !== delivery.avoid);
    const pick = this.policy.strategy.pick(others.length > 0 ? others : eligible);
    if (pick.kind === "wait")
      throw new Error(`strategy ${this.policy.strategy.name} picked nobody of several`);
    return pick.member;
  }

  /** Ends the pool and forgets its backlogs. */
  close(): void {
    for (const backlog of this.#backlogs.values()) backlog.close();
  }

  report(): PoolReport & { memberReports: MemberReport[] } {
    const members = [...this.#members.values()];
    const backlogs = [...this.#backlogs.values()];
    const sum = <T>(items: readonly T[], of: (item: T) => number) =>
      items.reduce((total, item) => total + of(item), 0);
    return {
      name: this.name,
      members: members.length,
      backlog: sum(backlogs, ({ waiting }) => waiting),
      backlogBytes: sum(backlogs, ({ byteLength }) => byteLength),
      inFlight: sum(backlogs, ({ inFlight }) => inFlight),
      freeCredit: sum(members, ({ freeCredit }) => freeCredit),
      settled: sum(backlogs, ({ settled }) => settled),
      redelivered: this.#redelivered,
      dropped: sum(backlogs, ({ dropped }) => dropped),
      memberReports: members.map((member) => member.report()),
    };
  }

  #backlogOf(filter: string): Backlog {
    const known = this.#backlogs.get(filter);
    if (known !== undefined) return known;
    const backlog = this.#surroundings.openBacklog(this, filter);
    this.adopt(filter, backlog);
    return backlog;
  }
}
