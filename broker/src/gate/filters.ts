/**
 * SUBSCRIBE and UNSUBSCRIBE, asked of aedes one filter at a time and answered as one packet: aedes answers fewer codes
 * than there were filters when one is repeated, and stores refused filters together with granted ones.
 * So several filters are what MQTT wants: the same as several packets [MQTT-3.8.4-4].
 */
import { filterFault, limits } from "@equipoise/shared";
import { remainingLengthSize, writeRemainingLength } from "../journal/chunk.ts";
import { BodyReader } from "./body.ts";
import { Fault } from "./fault.ts";

interface Filter {
  text: string;
  /** Absent in an UNSUBSCRIBE. */
  qos: number | undefined;
  /** Why nobody need be asked: nobody can have subscribed to it. */
  refusal: string | undefined;
}

const subscribeFirst = 0x82;
const subackFirst = 0x90;
const unsubackFirst = 0xb0;
const refused = 0x80;

export interface Subscriber {
  /** Why it may have no subscription more, if so. */
  refusal(filter: string): string | undefined;
  onRefused(filter: string, reason: string): void;
}

export class FilterExchange {
  readonly #first: number;
  readonly #packetId: number;
  readonly #filters: Filter[] = [];
  readonly #subscriber: Subscriber;
  readonly #codes: number[] = [];
  #next = 0;

  /**
   * @param frame a whole SUBSCRIBE or UNSUBSCRIBE whose variable header begins at `body`
   * @throws Fault malformed
   */
  constructor(frame: Buffer, body: number, subscriber: Subscriber) {
    this.#first = frame[0] as number;
    this.#subscriber = subscriber;
    const reader = new BodyReader(frame, body);
    this.#packetId = reader.number("the packet identifier");
    if (this.#packetId === 0) throw new Fault("malformed", "packet identifier 0 [MQTT-2.3.1-1]");
    if (reader.atEnd) throw new Fault("malformed", "a packet without filters [MQTT-3.8.3-3] [MQTT-3.10.3-2]");
    while (!reader.atEnd) this.#filters.push(this.#read(reader));
  }

  get size(): number {
    return this.#filters.length;
  }

  #read(reader: BodyReader): Filter {
    const text = reader.text("a filter");
    const qos = this.#isSubscribe ? reader.byte("a requested QoS") : undefined;
    if (qos !== undefined && qos > 2) throw new Fault("malformed", "a requested QoS over 2 [MQTT-3.8.3-4]");
    const refusal = lengthRefusal(text);
    const fault = refusal === undefined ? filterFault(text) : undefined;
    if (fault !== undefined) throw new Fault("malformed", `a filter that ${fault}`);
    return { text, qos, refusal };
  }

  get #isSubscribe(): boolean {
    return this.#first === subscribeFirst;
  }

  /** The packet for the next filter that aedes must be asked about; undefined when all are answered. */
  next(): Buffer | undefined {
    while (this.#next < this.#filters.length) {
      const { text, qos, refusal: tooLong } = this.#filters[this.#next++] as Filter;
      const refusal = tooLong ?? (this.#isSubscribe ? this.#subscriber.refusal(text) : undefined);
      if (refusal === undefined) return this.#packetFor(text, qos);
      if (!this.#isSubscribe) continue;
      this.#codes.push(refused);
      this.#subscriber.onRefused(text, refusal);
    }
    return undefined;
  }

  /** Takes the answer to the packet that `next` gave. */
  answered(frame: Buffer): void {
    if (this.#isSubscribe) this.#codes.push(frame[frame.length - 1] as number);
  }

  /** SUBACK with one code for each filter, in their order [MQTT-3.8.4-5], or UNSUBACK. */
  answer(): Buffer {
    return packet(this.#isSubscribe ? subackFirst : unsubackFirst, this.#packetId, Buffer.from(this.#codes));
  }

  #packetFor(text: string, qos: number | undefined): Buffer {
    const name = Buffer.from(text);
    const payload = Buffer.alloc(2 + name.length + (qos === undefined ? 0 : 1));
    payload.writeUInt16BE(name.length, 0);
    name.copy(payload, 2);
    if (qos !== undefined) payload[payload.length - 1] = qos;
    return packet(this.#first, this.#packetId, payload);
  }
}

function lengthRefusal(text: string): string | undefined {
  if (Buffer.byteLength(text) > limits.maxTopicBytes) return `longer than ${limits.maxTopicBytes} bytes`;
  if (text.split("/").length > limits.maxTopicLevels) return `more than ${limits.maxTopicLevels} levels`;
  return undefined;
}

function packet(first: number, packetId: number, payload: Buffer): Buffer {
  const remaining = 2 + payload.length;
  const frame = Buffer.alloc(1 + remainingLengthSize(remaining) + remaining);
  frame[0] = first;
  const at = frame.writeUInt16BE(packetId, writeRemainingLength(frame, 1, remaining));
  payload.copy(frame, at);
  return frame;
}
