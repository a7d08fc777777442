import type { MemberHeartbeat, MemberReport } from "@equipoise/shared";
import type { MemberView } from "../strategy/index.ts";
import type { Backlog } from "./backlog.ts";
import { Credits } from "./credits.ts";
import type { Delivery, Holder } from "./delivery.ts";

/** The connection of a member as its pools see it. */
export interface Receiver {
  readonly clientId: string;
  /** Connected, with room for output and a free packet identifier. */
  readonly ready: boolean;
  /** Writes a message to the wire; it stays in flight, at the holder that the delivery names, unless the QoS is 0. */
  send(delivery: Delivery, qos: number): void;
  /** Takes a message from the wire although it was not answered; its identifier stays in use until it is. */
  quarantine(delivery: Delivery): void;
  /** Ends the connection; what it held is returned, not failed. */
  disconnect(reason: string): void;
}

/** What a pool does when one of its members is done with a message. */
export interface MemberOwner {
  /** The member can take more. */
  onFreed(member: Member): void;
  onAcknowledged(delivery: Delivery): void;
  /** An attempt has failed. */
  onFailed(member: Member, delivery: Delivery, reason: string): void;
  /** Nobody's fault: the message is to be delivered again. */
  onReturned(delivery: Delivery): void;
}

const smoothing = 0.1;

/** One connection in one pool: its credits and what it has in flight. */
export class Member implements MemberView, Holder {
  readonly receiver: Receiver;
  readonly #owner: MemberOwner;
  /** Its subscriptions in this pool: each backlog it takes from, with the granted QoS. */
  readonly subscriptions = new Map<Backlog, number>();
  readonly #credits = new Credits();
  /** What it holds, in the order of sending. */
  readonly #held = new Set<Delivery>();
  /** Messages taken from it after a timeout that it has not answered yet: each still costs a credit. */
  #quarantined = 0;
  settled = 0;
  timeouts = 0;
  draining = false;
  #ackLatencyMs: number | undefined;

  constructor(receiver: Receiver, owner: MemberOwner) {
    this.receiver = receiver;
    this.#owner = owner;
  }

  get clientId(): string {
    return this.receiver.clientId;
  }

  get inFlight(): number {
    return this.#held.size + this.#quarantined;
  }

  get credit(): number {
    return this.#credits.limit;
  }

  get freeCredit(): number {
    return this.draining ? 0 : Math.max(0, this.credit - this.inFlight);
  }

  /** It can be given a message now. */
  get eligible(): boolean {
    return !this.draining && this.#held.size + this.#quarantined < this.#credits.limit && this.receiver.ready;
  }

  take(delivery: Delivery): void {
    const qos = delivery.qosFor(this.subscriptions.get(delivery.backlog) ?? 0);
    if (qos === 0) {
      this.receiver.send(delivery, 0);
      this.settled++;
      this.#owner.onAcknowledged(delivery);
      return;
    }
    this.#held.add(delivery);
    delivery.holder = this;
    this.receiver.send(delivery, qos);
  }

  acknowledged(delivery: Delivery, latencyMs: number): void {
    this.#credits.acknowledged(latencyMs, this.inFlight, delivery.sentAtMs + latencyMs);
    this.#ackLatencyMs =
      this.#ackLatencyMs === undefined
        ? latencyMs
        : this.#ackLatencyMs + (latencyMs - this.#ackLatencyMs) * smoothing;
    this.settled++;
    this.#release(delivery);
    this.#owner.onAcknowledged(delivery);
    this.#owner.onFreed(this);
  }

  rejected(delivery: Delivery, reason: string): void {
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
    this.#quarantined--;
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
      this.timeouts++;
      this.#quarantined++;
      this.receiver.quarantine(delivery);
      this.#release(delivery);
      this.#owner.onFailed(this, delivery, reason);
    }
  }

  /** Something of this key is in flight here besides the message itself. */
  holdsMoreOf({ key }: Delivery): boolean {
    return key !== undefined && key.holder === this && key.inFlight > 1;
  }

  /** Takes over what the member says of itself. */
  heard(heartbeat: MemberHeartbeat): void {
    this.draining = heartbeat.state === "draining";
    this.#credits.declare(heartbeat.creditLimit);
    if (!this.draining) this.#owner.onFreed(this);
  }

  report(): MemberReport {
    const ackLatencyMs =
      this.#ackLatencyMs === undefined ? null : Math.round(this.#ackLatencyMs * 1000) / 1000;
    const { clientId, inFlight, credit, settled } = this;
    return {
      clientId,
      health: this.draining ? "DEGRADED" : "HEALTHY",
      inFlight,
      credit,
      settled,
      ackLatencyMs,
    };
  }

  #release(delivery: Delivery): void {
    this.#held.delete(delivery);
    delivery.holder = undefined;
  }
}
