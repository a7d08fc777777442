/**
 * What one session has on the wire: deliveries by packet identifier until they are acknowledged. Identifiers on the
 * wire are given out here alone; one is used again only after the receiver has answered [MQTT-2.3.1-4].
 */
import type { Delivery } from "../pool/delivery.ts";

const maxPacketId = 0xffff;

export class Outbox {
  readonly #deliveries = new Map<number, Delivery>();
  /** QoS 2 messages that the receiver has taken and whose identifier is not free before PUBCOMP. */
  readonly #releasing = new Set<number>();
  #lastId = 0;

  /** Identifiers in use. */
  get size(): number {
    return this.#deliveries.size + this.#releasing.size;
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
    } while (this.#deliveries.has(this.#lastId) || this.#releasing.has(this.#lastId));
    return this.#lastId;
  }
}
