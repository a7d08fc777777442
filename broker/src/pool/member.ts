import type { MemberHeartbeat } from "@equipoise/shared";
import { type HealthState, isFrozen, MemberHealth, type Patient } from "../health/index.ts";
import type { MemberView } from "../strategy/index.ts";
import type { Backlog } from "./backlog.ts";
import { Credits } from "./credits.ts";
import type { Delivery, Holder } from "./delivery.ts";
import { ReportedLoad, type SeenLoad } from "./reported-load.ts";
import { SlowStart } from "./slow-start.ts";
import { TrackRecord } from "./track-record.ts";

/** The connection of a member as its pools see it. */
export interface Receiver {
  readonly clientId: string;
  /** Connected, with room for output and a free packet identifier. */
  readonly ready: boolean;
  /** When its last packet came, monotonic. */
  readonly lastHeardAtMs: number;
  /** Silence after which the connection is closed; 0 without keepalive. */
  readonly silenceLimitMs: number;
  /** Writes a message to the wire; it stays in flight, at the holder that the delivery names, unless the QoS is 0. */
  send(delivery: Delivery, qos: number): void;
  /** Takes a message from the wire although it was not answered; its identifier stays in use until it is. */
  quarantine(delivery: Delivery): void;
  /** Ends the connection; what it held is returned, not failed. */
  disconnect(reason: string): void;
}

/** What a pool does when one of its members is done with a message. */
export interface MemberOwner {
  /** Monotonic. */
  nowMs(): number;
  /** The member can take more. */
  onFreed(member: Member): void;
  onAcknowledged(delivery: Delivery): void;
  /** An attempt has failed. */
  onFailed(member: Member, delivery: Delivery, reason: string): void;
  /** Taken back from a member that is frozen. */
  onRescued(member: Member, delivery: Delivery): void;
  /** Nobody's fault: the message is to be delivered again. */
  onReturned(delivery: Delivery): void;
}

/** Work in milliseconds that a member which acknowledges early is given at most ahead of its own reports. */
const earlyWorkMs = 10;
/** For so long at most it is given nothing for what it says alone: it may be a lie. */
const longestHeldBackMs = 1_000;

/** The most that a member may declare to weigh; as much as can be configured. */
const maxWeight = 1_000_000;

export interface MemberOptions {
  receiver: Receiver;
  owner: MemberOwner;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Lent by another pool because this one has nobody. */
  guest: boolean;
  /** The credit that others of the pool have, when it grows towards that from little; without it, it begins in full. */
  slowStartTo: number | undefined;
  /** What the configuration says; it goes before what the member declares. */
  weight: number | undefined;
}

/** One connection in one pool: its credits, what it has in flight, and what is known of it. */
export class Member implements MemberView, Holder, Patient {
  readonly receiver: Receiver;
  readonly health: MemberHealth;
  readonly record = new TrackRecord();
  readonly reported = new ReportedLoad();
  guest: boolean;
  /** Configured; `undefined` leaves it to the member. */
  configuredWeight: number | undefined;
  readonly #owner: MemberOwner;
  /** Its subscriptions in this pool: each backlog it takes from, with the granted QoS. */
  readonly subscriptions = new Map<Backlog, number>();
  readonly #credits = new Credits();
  readonly #slowStart: SlowStart;
  /** What it holds, in the order of sending. */
  readonly #held = new Set<Delivery>();
  /** When those were sent that were taken from it and that it has not answered yet: each still costs a credit. */
  readonly #quarantinedSentAtMs: number[] = [];
  #declaredWeight = 1;
  draining = false;
  #operatorSays: HealthState | undefined;
  #operatorSaidAtMs = 0;
  /** Messages taken back because it froze. */
  rescued = 0;
  /** When that was last, and when the oldest of them had been sent. */
  #rescue: { atMs: number; sentAtMs: number } | undefined;
  /** What was expected of it at `#expectedAtMs`: asked for once for each message, it changes once a turn. */
  #expectedMs: number | undefined;
  #expectedAtMs = Number.NaN;
  #extraWork = 0;
  #errorRate = 0;

  constructor({ receiver, owner, random, guest, slowStartTo, weight }: MemberOptions) {
    this.receiver = receiver;
    this.#owner = owner;
    this.guest = guest;
    const nowMs = owner.nowMs();
    this.health = new MemberHealth(random, nowMs);
    this.#slowStart = new SlowStart(slowStartTo, nowMs);
    this.configuredWeight = weight;
  }

  get clientId(): string {
    return this.receiver.clientId;
  }

  get inFlight(): number {
    return this.#held.size + this.#quarantinedSentAtMs.length;
  }

  /** It has messages to answer that nobody else has. */
  get holding(): boolean {
    return this.#held.size > 0;
  }

  /** All its credit is with messages that were taken from it: nothing tells when it will answer. */
  get spent(): boolean {
    return this.#held.size === 0 && this.inFlight >= this.credit;
  }

  get credit(): number {
    const { limit } = this.#credits;
    return this.#slowStart.ended ? limit : Math.min(limit, this.#slowStart.limit(this.#owner.nowMs()));
  }

  /** Past its slow start, if it had one. */
  get established(): boolean {
    return this.#slowStart.over(this.#owner.nowMs());
  }

  /** It gets nothing new: it drains, it is frozen, or the operator has taken it out. */
  get resting(): boolean {
    return this.draining || this.operatorSays === "UNHEALTHY" || (this.#rescue !== undefined && this.frozen);
  }

  /** What it held was taken back, and nothing has been heard of it since. */
  get frozen(): boolean {
    if (this.#rescue !== undefined && this.receiver.lastHeardAtMs > this.#rescue.atMs)
      this.#rescue = undefined;
    return this.#rescue !== undefined;
  }

  /** What the operator has said of it; goes before what the checker finds. */
  get operatorSays(): HealthState | undefined {
    return this.#operatorSays;
  }

  set operatorSays(state: HealthState | undefined) {
    if (state !== this.#operatorSays) this.#operatorSaidAtMs = this.#owner.nowMs();
    this.#operatorSays = state;
  }

  /** As far as choosing goes. */
  get state(): HealthState {
    return this.operatorSays ?? this.health.state;
  }

  /** Since when {@link state} is what it is, monotonic. */
  get stateSinceMs(): number {
    return this.operatorSays === undefined ? this.health.changedAtMs : this.#operatorSaidAtMs;
  }

  get freeCredit(): number {
    return this.resting ? 0 : Math.max(0, this.credit - this.inFlight);
  }

  get weight(): number {
    return this.configuredWeight ?? this.#declaredWeight;
  }

  get hasCredit(): boolean {
    if (this.inFlight >= this.credit) return false;
    return !this.reported.acknowledgesEarly || this.#hasRoomAhead();
  }

  /** Its acknowledgements do not say when it is ready for more; its reports do. */
  #hasRoomAhead(): boolean {
    const nowMs = this.#owner.nowMs();
    if (this.inFlight === 0 && nowMs - this.lastTakenAtMs >= longestHeldBackMs) return true;
    const serviceMs = this.expectedServiceMs(nowMs);
    return serviceMs === undefined || this.#extraWork + this.inFlight < Math.max(2, earlyWorkMs / serviceMs);
  }

  /** It can be given a message now. */
  get eligible(): boolean {
    return !this.resting && this.hasCredit && this.receiver.ready;
  }

  // What strategies go by.

  get lastTakenAtMs(): number {
    return this.record.lastTakenAtMs;
  }

  expectedServiceMs(nowMs: number): number | undefined {
    if (nowMs !== this.#expectedAtMs) this.#expect(nowMs);
    return this.#expectedMs;
  }

  get extraWork(): number {
    return this.#extraWork;
  }

  get errorRate(): number {
    return this.#errorRate;
  }

  #expect(nowMs: number): void {
    this.#expectedAtMs = nowMs;
    const { service } = this.record;
    const seenMs = service.expectedMs(nowMs, this.oldestSentAtMs);
    this.#extraWork =
      this.reported.beats === 0 ? 0 : this.reported.extraWork(this.#seen, service.estimateMs, nowMs);
    const reportedMs = this.reported.serviceMs(nowMs);
    this.#expectedMs = reportedMs === undefined ? seenMs : Math.max(reportedMs, seenMs ?? 0);
    this.#errorRate = this.record.errorRateAt(nowMs);
  }

  get #seen(): SeenLoad {
    return {
      inFlight: this.inFlight,
      taken: this.record.taken,
      ackLatencyMs: this.record.ackLatencyMs,
    };
  }

  // What checkers of health go by.

  get oldestSentAtMs(): number | undefined {
    if (this.#rescue !== undefined && this.frozen) return this.#rescue.sentAtMs;
    for (const { sentAtMs } of this.#held) return sentAtMs;
    return undefined;
  }

  get lastHeardAtMs(): number {
    return this.receiver.lastHeardAtMs;
  }

  get silenceLimitMs(): number {
    return this.receiver.silenceLimitMs;
  }

  get beats(): number {
    return this.reported.beats;
  }

  get serviceMs(): number | undefined {
    return this.record.service.estimateMs;
  }

  get baselineMs(): number | undefined {
    return this.record.baselineMs(this.#owner.nowMs());
  }

  get latencyP99Ms(): number | undefined {
    return this.record.latencyP99Ms;
  }

  /** Those before an ejection are paid for with it: from then on the probe decides. */
  get timeoutsInARow(): number {
    return this.health.halfOpen ? 0 : this.record.timeoutsInARow;
  }

  get errorsInARow(): number {
    return this.record.errorsInARow;
  }

  get answers(): number {
    return this.record.answers;
  }

  get timeouts(): number {
    return this.record.timeouts;
  }

  get eventLoopLagMs(): number | undefined {
    return this.reported.eventLoopLagMs(this.#owner.nowMs());
  }

  // Messages.

  take(delivery: Delivery): void {
    const qos = delivery.qosFor(this.subscriptions.get(delivery.backlog) ?? 0);
    this.record.takes(this.#owner.nowMs());
    if (qos === 0) {
      this.receiver.send(delivery, 0);
      this.record.settled++;
      this.#owner.onAcknowledged(delivery);
      return;
    }
    this.#held.add(delivery);
    delivery.holder = this;
    this.receiver.send(delivery, qos);
  }

  acknowledged(delivery: Delivery, latencyMs: number): void {
    const nowMs = delivery.sentAtMs + latencyMs;
    this.#credits.acknowledged(latencyMs, this.inFlight, nowMs);
    this.record.acknowledged(latencyMs, nowMs);
    if (this.health.halfOpen) this.record.forgive();
    this.health.succeeded();
    this.#release(delivery);
    this.#owner.onAcknowledged(delivery);
    this.#owner.onFreed(this);
  }

  rejected(delivery: Delivery, reason: string): void {
    const nowMs = this.#owner.nowMs();
    this.record.failed(nowMs - delivery.sentAtMs, nowMs);
    this.health.failed(nowMs);
    this.#release(delivery);
    this.#owner.onFailed(this, delivery, reason);
    this.#owner.onFreed(this);
  }

  returned(delivery: Delivery, failed: boolean): void {
    this.#release(delivery);
    if (failed) this.#owner.onFailed(this, delivery, "the connection broke");
    else this.#owner.onReturned(delivery);
  }

  answeredLate(): void {
    const sentAtMs = this.#quarantinedSentAtMs.shift();
    // It was alive: how long it took tells how long a silence of it may last.
    if (sentAtMs !== undefined) this.record.answeredLate(this.#owner.nowMs() - sentAtMs);
    this.#owner.onFreed(this);
  }

  /**
   * Takes back what has been held for too long. Neither identifier nor credit is free before the late answer, or the
   * end of the connection.
   * @param sentBeforeMs monotonic
   */
  expire(sentBeforeMs: number, reason: string): void {
    for (const delivery of this.#held) {
      if (delivery.sentAtMs > sentBeforeMs) return;
      const nowMs = this.#owner.nowMs();
      this.record.timedOut(nowMs);
      this.health.failed(nowMs);
      this.#withdraw(delivery);
      this.#owner.onFailed(this, delivery, reason);
    }
  }

  /**
   * Takes back what a frozen member holds, for others to do; nobody's failure, and perhaps done twice. QoS 2 stays:
   * once in flight it moves to nobody else.
   * @returns how many messages that were
   */
  rescue(nowMs: number): number {
    if (!isFrozen(this, nowMs)) return 0;
    const held = [...this.#held].filter((delivery) => this.#qosOf(delivery) === 1);
    const oldest = held[0];
    if (oldest === undefined) return 0;
    this.#rescue = { atMs: nowMs, sentAtMs: oldest.sentAtMs };
    for (const delivery of held) this.#withdraw(delivery);
    // The newest first, so that the oldest is the next to be taken.
    for (const delivery of held.reverse()) this.#owner.onRescued(this, delivery);
    this.rescued += held.length;
    return held.length;
  }

  #qosOf(delivery: Delivery): number {
    return delivery.qosFor(this.subscriptions.get(delivery.backlog) ?? 1);
  }

  #withdraw(delivery: Delivery): void {
    this.#quarantinedSentAtMs.push(delivery.sentAtMs);
    this.receiver.quarantine(delivery);
    this.#release(delivery);
  }

  /** Something of this key is in flight here besides the message itself. */
  holdsMoreOf({ key }: Delivery): boolean {
    return key !== undefined && key.holder === this && key.inFlight > 1;
  }

  /** Takes over what the member says of itself. */
  heard(heartbeat: MemberHeartbeat): void {
    const nowMs = this.#owner.nowMs();
    this.draining = heartbeat.state === "draining";
    this.#credits.declare(heartbeat.creditLimit);
    this.#declaredWeight = Math.min(heartbeat.weight ?? 1, maxWeight);
    this.reported.heard(heartbeat, this.#seen, nowMs);
    this.record.reportedErrors(heartbeat.errors ?? 0, nowMs);
    this.#expectedAtMs = Number.NaN;
    if (!this.draining) this.#owner.onFreed(this);
  }

  #release(delivery: Delivery): void {
    this.#held.delete(delivery);
    delivery.holder = undefined;
  }
}
