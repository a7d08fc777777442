import type { MemberReport, PoolReport } from "@equipoise/shared";
import { PoolHealth } from "../health/index.ts";
import type { Backlog } from "./backlog.ts";
import { Chooser } from "./chooser.ts";
import type { PoolPolicy, PoolSurroundings, Tuning } from "./contract.ts";
import type { Decision } from "./decisions.ts";
import type { Delivery } from "./delivery.ts";
import type { Ordered } from "./feed.ts";
import { Handout } from "./handout.ts";
import { KeyOrder } from "./key-order.ts";
import { Lane } from "./lane.ts";
import { Member, type MemberOwner, type Receiver } from "./member.ts";
import { reportOf } from "./member-report.ts";
import { saidOf } from "./policy.ts";
import { reportOfPool } from "./pool-report.ts";

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
  readonly #health: PoolHealth;
  readonly #chooser: Chooser;
  readonly #handout: Handout;
  /** Since when there is no member of its own, monotonic; `undefined` while there is one. */
  #memberlessSinceMs: number | undefined;
  #rescued = 0;
  #resting = false;

  constructor(policy: PoolPolicy, surroundings: PoolSurroundings) {
    this.policy = { ...policy };
    this.#surroundings = surroundings;
    this.#memberlessSinceMs = surroundings.monotonicMs();
    this.#health = new PoolHealth(policy.health, {
      onChange: (patient, change) => surroundings.onHealth(this, patient as Member, change),
      onPanic: (panic) => surroundings.onPanic(this, panic),
      onCheckerFailed: (reason) => surroundings.onCheckerFailed(this, reason),
    });
    this.#chooser = new Chooser({
      policy: this.policy,
      health: this.#health,
      random: () => surroundings.random(),
      wallMs: () => surroundings.wallMs(),
      nowMs: () => surroundings.monotonicMs(),
    });
    this.#handout = new Handout(this.#chooser);
  }

  get name(): string {
    return this.policy.name;
  }

  /** Its own, without guests. */
  get memberCount(): number {
    let own = 0;
    for (const { guest } of this.#members.values()) if (!guest) own++;
    return own;
  }

  /** All that it has, guests among them. */
  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  get memberlessSinceMs(): number | undefined {
    return this.#memberlessSinceMs;
  }

  /** Health is ignored, because too little of the pool is left otherwise. */
  get panic(): boolean {
    return this.#health.panic;
  }

  /** A sample of its choices, oldest first. */
  get decisions(): Decision[] {
    return this.#chooser.decisions.list();
  }

  /** Changes how it balances, for what is given from now on. */
  tune({ strategy, health, weights, operatorHealth }: Tuning): void {
    if (strategy !== undefined) this.policy.strategy = strategy;
    if (health !== undefined) {
      this.policy.health = health;
      this.#health.checker = health;
    }
    if (weights !== undefined) {
      this.policy.weights = weights;
      for (const member of this.#members.values()) member.configuredWeight = saidOf(weights, member);
    }
    if (operatorHealth !== undefined) {
      this.policy.operatorHealth = operatorHealth;
      for (const member of this.#members.values()) member.operatorSays = saidOf(operatorHealth, member);
    }
    this.#surroundings.wake(this);
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
    for (const lane of this.#lanes.values()) waiting += lane.waiting;
    return waiting;
  }

  /** A backlog has takers that are no guests. */
  isTaken(backlog: Backlog): boolean {
    return this.#byBacklog.get(backlog)?.taken === true;
  }

  /** Messages of a backlog that members could be given beyond those that wait here; `undefined` without members. */
  wanted(backlog: Backlog): number | undefined {
    const lane = this.#byBacklog.get(backlog);
    if (lane === undefined || lane.takers.length === 0 || this.#resting) return undefined;
    const { eligible, probe } = this.#chooser.candidates(lane.takers);
    const free = probe ? 1 : eligible.reduce((sum, { freeCredit }) => sum + freeCredit, 0);
    return lane.order === undefined ? free - this.waiting : lane.wanted(free);
  }

  /** Messages of a backlog that members without any, and not much slower than others here, could begin with now. */
  atOnce(backlog: Backlog): number {
    const lane = this.#byBacklog.get(backlog);
    if (lane === undefined || this.#resting) return 0;
    const { eligible, probe } = this.#chooser.candidates(lane.takers);
    return probe ? 0 : lane.idle(eligible) - this.waiting;
  }

  /** A backlog as its feed sees it where the messages of a key are kept in order. */
  ordered(backlog: Backlog): Ordered | undefined {
    return this.policy.ordering === "key" ? this.#byBacklog.get(backlog) : undefined;
  }

  get backlogs(): Iterable<Backlog> {
    return this.#byBacklog.keys();
  }

  backlogOf(filter: string): Backlog | undefined {
    return this.#lanes.get(filter)?.backlog;
  }

  /** Adds a backlog that the journal has kept, or that the configuration names. */
  adopt(filter: string, backlog: Backlog): void {
    const lane = new Lane(filter, backlog, this.#surroundings.monotonicMs());
    const { ordering, key } = this.policy;
    if (ordering === "key") {
      const choose = (delivery: Delivery) => this.#handout.chooseForKey(lane, delivery);
      lane.order = new KeyOrder({ backlog, key, choose });
    }
    this.#lanes.set(filter, lane);
    this.#byBacklog.set(backlog, lane);
  }

  hasFilter(filter: string): boolean {
    return this.#lanes.has(filter);
  }

  /**
   * Subscribes a receiver to a filter of the pool.
   * @param guest lent by another pool, until this one has a member of its own
   */
  join(receiver: Receiver, filter: string, qos: number, guest = false): Member {
    const { backlog, takers } = this.#laneOf(filter);
    const member = this.#members.get(receiver) ?? this.#enter(receiver, guest);
    if (!guest) {
      member.guest = false;
      this.#memberlessSinceMs = undefined;
    }
    const joined = member.subscriptions.has(backlog);
    member.subscriptions.set(backlog, qos);
    if (!joined) takers.push(member);
    this.#surroundings.wake(this);
    return member;
  }

  #enter(receiver: Receiver, guest: boolean): Member {
    const member = new Member({
      receiver,
      owner: this,
      random: () => this.#surroundings.random(),
      guest,
      slowStartTo: this.#usualCredit(),
      weight: saidOf(this.policy.weights, receiver),
    });
    member.operatorSays = saidOf(this.policy.operatorHealth, receiver);
    this.#members.set(receiver, member);
    return member;
  }

  /** Credit of the members that can carry the load while another one begins; `undefined` when there are none. */
  #usualCredit(): number | undefined {
    const credits = this.members
      .filter(({ established, resting }) => established && !resting)
      .filter(({ record }) => record.settled > 0)
      .map(({ credit }) => credit)
      .sort((a, b) => a - b);
    return credits[credits.length >> 1];
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
    if (member.holding) this.#leaving.add(member);
    if (!member.guest && this.memberCount === 0) this.#memberlessSinceMs = this.#surroundings.monotonicMs();
  }

  /** Gives nothing more to anybody: the broker is about to stop, and what waits is for later, or for other brokers. */
  rest(): void {
    this.#resting = true;
    this.#surroundings.wake(this);
  }

  /** Members have messages that they have not answered. */
  get holding(): boolean {
    return [...this.#members.values(), ...this.#leaving].some(({ holding }) => holding);
  }

  /** Filters that nobody has taken from since before a time. */
  abandoned(beforeMs: (filter: string) => number): string[] {
    return [...this.#lanes.values()]
      .filter(({ taken, emptySinceMs, filter }) => !taken && emptySinceMs <= beforeMs(filter))
      .map(({ filter }) => filter);
  }

  /** Ends one filter: its backlog is forgotten. Returns how many messages waited in it. */
  drop(filter: string): number {
    const lane = this.#lanes.get(filter);
    if (lane === undefined) return 0;
    const { waiting } = lane;
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
    this.#noteDropped(lane.dropAll());
  }

  /** The member of a receiver. */
  member(receiver: Receiver): Member | undefined {
    return this.#members.get(receiver);
  }

  nowMs(): number {
    return this.#surroundings.monotonicMs();
  }

  onRescued(member: Member, delivery: Delivery): void {
    delivery.avoid = member;
    delivery.failedAtMs = this.#surroundings.monotonicMs();
    this.#rescued++;
    this.onReturned(delivery);
  }

  onFreed(): void {
    if (this.#surroundings.fed === true || this.waiting > 0) this.#surroundings.wake(this);
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

  /**
   * Looks after everybody, several times a second: health, what frozen members hold, what others have held for too
   * long, and what waits for another member.
   */
  expire(nowMs: number): void {
    const { ackTimeoutMs, ordering } = this.policy;
    this.#health.check(this.members, ackTimeoutMs, nowMs);
    // In an ordered pool the order of the key would be lost.
    if (ordering === "none") this.#rescue(nowMs);
    this.onFreed();
    for (const member of [...this.#members.values(), ...this.#leaving]) {
      if (!member.holding) this.#leaving.delete(member);
      const before = member.timeouts;
      member.expire(nowMs - ackTimeoutMs, `no answer within ${ackTimeoutMs} ms`);
      if (ordering === "key" && member.timeouts > before) member.receiver.disconnect("ackTimeout");
    }
  }

  #rescue(nowMs: number): void {
    for (const member of this.#members.values()) {
      // Without anybody else to do it, it would only come twice to the same member.
      if (!this.#someoneBeside(member)) continue;
      const messages = member.rescue(nowMs);
      if (messages > 0) this.#surroundings.onRescued(this, member, messages);
    }
  }

  #someoneBeside(member: Member): boolean {
    for (const other of this.#members.values()) if (other !== member && !other.resting) return true;
    return false;
  }

  /** Hands out what waits for as long as members have credit. */
  drain(): void {
    if (this.#resting) return;
    for (const lane of this.#lanes.values()) {
      if (lane.takers.length === 0) continue;
      if (lane.order !== undefined) lane.order.drain();
      else if (lane.backlog.waiting > 0) this.#handout.drain(lane);
    }
  }

  #noteDropped(messages: number): void {
    if (messages > 0) this.#surroundings.onDropped(this, messages);
  }

  report(): PoolReport & { memberReports: MemberReport[] } {
    const { members } = this;
    const nowMs = this.#surroundings.monotonicMs();
    const reports = members.map((member) => ({
      ...reportOf(member, nowMs),
      score: this.#chooser.scoreOf(member, members),
    }));
    const counts = { redelivered: this.#handout.redelivered, rescued: this.#rescued };
    return reportOfPool(this, [...this.#lanes.values()], counts, reports);
  }

  #laneOf(filter: string): Lane {
    if (!this.#lanes.has(filter)) this.adopt(filter, this.#surroundings.openBacklog(this, filter));
    return this.#lanes.get(filter) as Lane;
  }
}
