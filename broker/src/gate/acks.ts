/**
 * What a publisher is owed: one acknowledgement per PUBLISH, in the order in which they came [MQTT-4.6.0-2], each only
 * after its message is stored, and none while a full pool holds the publisher back.
 */
import { Deque } from "@equipoise/shared";

const pubackFirst = 0x40;
const pubrecFirst = 0x50;

export class PublisherAcks {
  /** Packet identifiers, with bit 16 set where PUBREC is due. */
  readonly #owed = new Deque<number>();
  /** How many at the front are stored. */
  #ready = 0;
  /** Full pools that this publisher feeds. */
  readonly #heldBy = new Set<object>();

  /** PUBLISHes that have not been acknowledged. */
  get owed(): number {
    return this.#owed.length;
  }

  /** PUBLISHes that are not stored yet. */
  get uncommitted(): number {
    return this.#owed.length - this.#ready;
  }

  get held(): boolean {
    return this.#heldBy.size > 0;
  }

  add(packetId: number, qos: number): void {
    this.#owed.push(qos === 2 ? packetId | 0x10000 : packetId);
  }

  /** The next `count` are stored. */
  committed(count: number): void {
    this.#ready += count;
  }

  /** Identifiers of QoS 2 messages that are not stored. */
  *uncommittedQos2(): Iterable<number> {
    for (let at = this.#ready; at < this.#owed.length; at++) {
      const next = this.#owed.at(at) as number;
      if (next > 0xffff) yield next & 0xffff;
    }
  }

  hold(by: object): void {
    this.#heldBy.add(by);
  }

  letGo(by: object): void {
    this.#heldBy.delete(by);
  }

  /** Writes what may go out. */
  flush(write: (first: number, packetId: number) => void): void {
    if (this.#heldBy.size > 0) return;
    for (; this.#ready > 0; this.#ready--) {
      const next = this.#owed.shift() as number;
      write(next > 0xffff ? pubrecFirst : pubackFirst, next & 0xffff);
    }
  }
}
