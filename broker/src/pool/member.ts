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
}

/** What a pool does when one of its members is done with a message. */
export interface MemberOwner {
  onFreed(member: Member): void;
  onRejected(member: Member, delivery: Delivery, reason: string): void;
}

const smoothing = 0.1;

/** One connection in one pool: its credits and what it has in flight. */
export class Member implements MemberView, Holder {
  readonly receiver: Receiver;
  readonly #owner: MemberOwner;
  /** Its subscriptions in this pool: each backlog it takes from, with the granted QoS. */
  readonly subscriptions = new Map<Backlog, number>();
  readonly #credits = new Credits();
  inFlight = 0;
  settled = 0;
  draining = false;
  #ackLatencyMs: number | undefined;

  constructor(receiver: Receiver, owner: MemberOwner) {
    this.receiver = receiver;
    this.#owner = owner;
  }

  get clientId(): string {
    return this.receiver.clientId;
  }

  get credit(): number {
    return this.#credits.limit;
  }

  get freeCredit(): number {
    return this.draining ? 0 : Math.max(0, this.credit - this.inFlight);
  }

  /** It can be given a message now. */
  get eligible(): boolean {
    return !this.draining && this.inFlight < this.#credits.limit && this.receiver.ready;
  }

  take(delivery: Delivery): void {
    const qos = delivery.qosFor(this.subscriptions.get(delivery.backlog) ?? 0);
    if (qos === 0) {
      this.receiver.send(delivery, 0);
      this.settled++;
      delivery.backlog.settle(delivery);
      return;
    }
    this.inFlight++;
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
    delivery.backlog.settle(delivery);
    this.#owner.onFreed(this);
  }

  rejected(delivery: Delivery, reason: string): void {
    this.#release(delivery);
    delivery.attempts++;
    delivery.avoid = this;
    this.#owner.onRejected(this, delivery, reason);
    this.#owner.onFreed(this);
  }

  returned(delivery: Delivery, failed: boolean): void {
    this.#release(delivery);
    if (failed) {
      delivery.attempts++;
      delivery.avoid = this;
    }
    delivery.backlog.putBack(delivery);
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
    this.inFlight--;
    delivery.holder = undefined;
  }
}
