/**
 * What belongs to a client id: its subscriptions, its own queue (a plain subscriber is a pool of one), and what it has
 * on the wire. A clean session ends with its connection, another waits for the next one.
 */

import type { SendFlags } from "../gate/output.ts";
import type { Chunk } from "../journal/chunk.ts";
import type { Backlog } from "../pool/backlog.ts";
import type { Delivery, Holder } from "../pool/delivery.ts";
import type { Receiver } from "../pool/member.ts";
import { Outbox } from "./outbox.ts";

/** The connection of a session. */
export interface Line {
  /** When the client's last packet came, monotonic. */
  readonly heardAtMs: number;
  /** Silence after which it is closed; 0 without keepalive. */
  readonly silenceLimitMs: number;
  /** It takes output without gathering too much. */
  readonly writable: boolean;
  message(chunk: Chunk, index: number, flags: SendFlags): void;
  acknowledgement(first: number, packetId: number): void;
  /** Closes the connection. */
  end(reason: string): void;
}

const pubrel = 0x62;
const pubcomp = 0x70;

export interface SessionOptions {
  clientId: string;
  clean: boolean;
  /** Most messages of QoS 1 and 2 on the wire, pools included. */
  maxInFlight: number;
  nowMs: () => number;
  /** Something may be sendable: called when the wire gets free. */
  wake: (session: Session) => void;
  /** The client has taken a message: it was acknowledged, or sent at QoS 0. */
  onDelivered: () => void;
  /** Messages of its own queue that the client has rejected too often. */
  onGivenUp: (messages: number) => void;
}

/** Messages taken at once from a queue that brokers share. */
const maxAhead = 256;

/** Attempts for a message of a plain subscription; pools have their own number, and dead letters. */
const maxAttempts = 5;

export class Session implements Receiver, Holder {
  readonly clientId: string;
  readonly clean: boolean;
  /** Filters as the client wrote them, with the granted QoS. */
  readonly subscriptions = new Map<string, number>();
  readonly outbox = new Outbox();
  /** QoS 2 identifiers that this client has published and not released [MQTT-4.3.3-2]. */
  readonly incoming = new Set<number>();
  /** Plain subscriptions wait here; made with the first one. */
  queue: Backlog | undefined;
  readonly #maxInFlight: number;
  readonly #nowMs: () => number;
  readonly #wake: (session: Session) => void;
  readonly #onDelivered: () => void;
  readonly #onGivenUp: (messages: number) => void;
  #line: Line | undefined;
  #ended = false;

  constructor(options: SessionOptions) {
    this.clientId = options.clientId;
    this.clean = options.clean;
    this.#maxInFlight = options.maxInFlight;
    this.#nowMs = options.nowMs;
    this.#wake = options.wake;
    this.#onDelivered = options.onDelivered;
    this.#onGivenUp = options.onGivenUp;
  }

  /** As a member of pools: it can be sent something now. */
  get ready(): boolean {
    return this.#line?.writable === true && !this.#full;
  }

  get lastHeardAtMs(): number {
    return this.#line?.heardAtMs ?? Number.NEGATIVE_INFINITY;
  }

  get silenceLimitMs(): number {
    return this.#line?.silenceLimitMs ?? 0;
  }

  /** Messages of its own queue that could be sent now beyond those that wait; `undefined` without a connection. */
  get wanted(): number | undefined {
    if (this.#line === undefined) return undefined;
    return this.ready
      ? Math.min(maxAhead, this.#maxInFlight - this.outbox.size) - (this.queue?.waiting ?? 0)
      : 0;
  }

  get connected(): boolean {
    return this.#line !== undefined;
  }

  /** The window is used up: whoever frees a place of it must wake all that wait for one, not only its own pool. */
  get #full(): boolean {
    return this.outbox.size >= this.#maxInFlight;
  }

  /** Connects; what was on the wire before goes out again under the same identifiers, with DUP [MQTT-4.4.0-1]. */
  attach(line: Line): void {
    this.#line = line;
    for (const packetId of this.outbox.releasing) line.acknowledgement(pubrel, packetId);
    for (const delivery of this.outbox.deliveries) this.#write(delivery, delivery.qosFor(2), true);
    this.#wake(this);
  }

  /** The connection ended: what members had goes back to their pools, newest first so that order is kept. */
  detach(failed: boolean): void {
    this.#line = undefined;
    this.outbox.forgetQuarantined();
    for (const delivery of [...this.outbox.deliveries].reverse()) {
      if (delivery.holder === this || this.#mayComeBackFor(delivery)) continue;
      this.outbox.take(delivery.packetId);
      delivery.holder?.returned(delivery, failed);
    }
  }

  /**
   * A QoS 2 message in flight moves to nobody else while its session lives: the client may have it already, by analogy
   * with MQTT 5, 4.8.2.
   */
  #mayComeBackFor(delivery: Delivery): boolean {
    return !this.clean && !this.#ended && delivery.chunk.qosOf(delivery.index) === 2;
  }

  /** Its client has connected to another broker: what it has on the wire goes back to its queue. */
  surrender(): void {
    for (const delivery of [...this.outbox.deliveries].reverse()) {
      this.outbox.take(delivery.packetId);
      delivery.holder = undefined;
      delivery.backlog.putBack(delivery);
    }
  }

  /** The session is over: nothing is kept for the client. */
  end(): void {
    this.#ended = true;
    this.detach(false);
  }

  quarantine(delivery: Delivery): void {
    this.outbox.quarantine(delivery);
  }

  disconnect(reason: string): void {
    this.#line?.end(reason);
  }

  send(delivery: Delivery, qos: number): void {
    if (qos > 0) this.outbox.add(delivery, this.#nowMs());
    else this.#onDelivered();
    this.#write(delivery, qos, false);
  }

  #write(delivery: Delivery, qos: number, dup: boolean): void {
    const { chunk, index, packetId, slice } = delivery;
    this.#line?.message(chunk, index, { qos, dup, retain: slice.retained, packetId });
  }

  /** Sends from the own queue for as long as the wire is free. */
  drain(): void {
    const queue = this.queue;
    if (queue === undefined) return;
    while (queue.waiting > 0 && this.ready) {
      const delivery = queue.take();
      if (delivery === undefined) return;
      const qos = delivery.qosFor(2);
      if (qos > 0) delivery.holder = this;
      this.send(delivery, qos);
      if (qos === 0) queue.settle(delivery);
    }
  }

  /** PUBACK. Unknown identifiers are ignored: the answer may be late. */
  puback(packetId: number): void {
    const full = this.#full;
    const delivery = this.outbox.take(packetId);
    if (delivery !== undefined) this.#acknowledged(delivery);
    else this.outbox.answerLate(packetId)?.answeredLate();
    if (full) this.#wake(this);
  }

  /** PUBREC: the message is the receiver's now. Answered also when unknown: the receiver waits for it [MQTT-4.3.3-1]. */
  pubrec(packetId: number): void {
    const delivery = this.outbox.release(packetId);
    if (delivery !== undefined) this.#acknowledged(delivery);
    else this.outbox.answerLate(packetId)?.answeredLate();
    this.#line?.acknowledgement(pubrel, packetId);
  }

  pubcomp(packetId: number): void {
    this.outbox.complete(packetId);
    this.#wake(this);
  }

  /** PUBREL: the identifier of a message that this client has published is free again. */
  pubrel(packetId: number): void {
    this.incoming.delete(packetId);
    this.#line?.acknowledgement(pubcomp, packetId);
  }

  /** The client said that it could not process a message. Returns false when it does not have it. */
  reject(packetId: number, reason: string): boolean {
    const delivery = this.outbox.take(packetId);
    const late = delivery === undefined ? this.outbox.answerLate(packetId) : undefined;
    late?.answeredLate();
    delivery?.holder?.rejected(delivery, reason);
    this.#wake(this);
    return delivery !== undefined || late !== undefined;
  }

  #acknowledged(delivery: Delivery): void {
    this.#onDelivered();
    delivery.holder?.acknowledged(delivery, this.#nowMs() - delivery.sentAtMs);
    if (this.queue !== undefined && this.queue.waiting > 0) this.#wake(this);
  }

  /** As the holder of its own queue's messages. */
  acknowledged(delivery: Delivery): void {
    delivery.holder = undefined;
    delivery.backlog.settle(delivery);
  }

  /** There is nobody else to try: the same client gets it again, a few times. */
  rejected(delivery: Delivery): void {
    delivery.holder = undefined;
    if (++delivery.attempts < maxAttempts) return delivery.backlog.putBack(delivery);
    this.#onGivenUp(1);
    delivery.backlog.discard(delivery);
  }

  returned(): void {}

  answeredLate(): void {}
}
