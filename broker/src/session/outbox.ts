/**
 * What one session has on the wire: deliveries by packet identifier until they are acknowledged. Identifiers on the
 * wire are given out here alone; one is used again only after the receiver has answered [MQTT-2.3.1-4].
 */
import type { Delivery, Holder } from "../pool/delivery.ts";

const maxPacketId = 0xffff;

export class Outbox {
  readonly #deliveries = new Map<number, Delivery>();
  /** QoS 2 messages that the receiver has taken and whose identifier is not free before PUBCOMP. */
  readonly #releasing = new Set<number>();
  /** Identifiers whose messages were taken back: not free before the receiver has answered. */
  readonly #quarantined = new Map<number, Holder | undefined>();
  #lastId = 0;

  /** Identifiers in use. */
  get size(): number {
    return this.#deliveries.size + this.#releasing.size + this.#quarantined.size;
  }

  /** Puts a delivery on the wire and returns its identifier. */
  add(delivery: Delivery, nowMs: number): number {
    const packetId = this.#nextId();
    delivery.packetId = packetId;
    delivery.sentAtMs = nowMs;
    this.#deliveries.set(packetId, delivery);
    return packetId;
  }

  /** Takes a delivery off the wire, for PUBACK or a rejection. Unknown identifiers give `undefined`. */
  take(packetId: number): Delivery | undefined {
    const delivery = this.#deliveries.get(packetId);
    this.#deliveries.delete(packetId);
    return delivery;
  }

  /** Takes a delivery off the wire without an answer; its identifier is not free. */
  quarantine(delivery: Delivery): void {
    this.#deliveries.delete(delivery.packetId);
    this.#quarantined.set(delivery.packetId, delivery.holder);
  }

  /** The receiver has answered for a message that it no longer has; tells whose it was. */
  answerLate(packetId: number): Holder | undefined {
    const holder = this.#quarantined.get(packetId);
    this.#quarantined.delete(packetId);
    return holder;
  }

  /** The connection ended: late answers cannot come any more. */
  forgetQuarantined(): void {
    this.#quarantined.clear();
  }

  /** PUBREC: the receiver has the message, its identifier stays in use. */
  release(packetId: number): Delivery | undefined {
    const delivery = this.take(packetId);
    if (delivery !== undefined) this.#releasing.add(packetId);
    return delivery;
  }

  /** PUBCOMP: the identifier is free. */
  complete(packetId: number): void {
    this.#releasing.delete(packetId);
  }

  /** Deliveries in the order in which they were sent. */
  get deliveries(): Iterable<Delivery> {
    return this.#deliveries.values();
  }

  get releasing(): Iterable<number> {
    return this.#releasing;
  }

  #nextId(): number {
    if (this.size >= maxPacketId) throw new Error("no packet identifier is free; the window must be smaller");
    do {
      this.#lastId = this.#lastId === maxPacketId ? 1 : this.#lastId + 1;
    } while (this.#inUse(this.#lastId));
    return this.#lastId;
  }

  #inUse(packetId: number): boolean {
    return this.#deliveries.has(packetId) || this.#releasing.has(packetId) || this.#quarantined.has(packetId);
  }
}
