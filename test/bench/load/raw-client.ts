/**
 * A bare MQTT 3.1.1 client: frames encoded beforehand, a raw socket, no event per packet, so that it costs next to
 * nothing. It trusts the broker's bytes; conformance is tested elsewhere.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { generate, type Packet } from "mqtt-packet";

/** @param payload where the payload begins in `bytes` */
export type OnPublish = (bytes: Buffer, payload: number) => void;

export interface Handlers {
  onPublish?: OnPublish;
  /** `count` PUBACKs came. */
  onPuback?: (count: number) => void;
}

const pubackType = 4;
const publishType = 3;
const connackType = 2;
const subackType = 9;
const noBytes = Buffer.alloc(0);
/** All sockets read into the same memory: what is not a whole frame is copied before the next read. */
const readInto = Buffer.allocUnsafeSlow(262_144);

export class RawClient {
  readonly #socket: Socket;
  readonly #handlers: Handlers;
  #carry: Buffer = noBytes;
  #pubacks = 0;
  #acks = Buffer.allocUnsafe(65_536);
  #acksLength = 0;
  #answered: ((type: number) => void) | undefined;

  private constructor(port: number, handlers: Handlers) {
    this.#handlers = handlers;
    const callback = (length: number): boolean => {
      this.#read(readInto.subarray(0, length));
      return true;
    };
    this.#socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: { buffer: readInto, callback },
    });
  }

  /** @throws the socket's error when nobody listens */
  static async connect(port: number, clientId: string, handlers: Handlers = {}): Promise<RawClient> {
    const client = new RawClient(port, handlers);
    const socket = client.#socket;
    await once(socket, "connect");
    // An end that the benchmark did not ask for shows as a count that is never reached.
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.destroy());
    socket.resume();
    const packet = { cmd: "connect", clientId, clean: true, keepalive: 0, protocolVersion: 4 };
    await client.#ask({ ...packet, protocolId: "MQTT" } as Packet, connackType);
    return client;
  }

  async subscribe(filter: string, qos: 0 | 1): Promise<void> {
    const subscriptions = [{ topic: filter, qos }];
    await this.#ask({ cmd: "subscribe", messageId: 1, subscriptions } as unknown as Packet, subackType);
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #ask(packet: Packet, answer: number): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      this.#answered = (type) => {
        if (type === answer) resolve();
      };
      this.#socket.once("close", () =>
        reject(new Error(`the broker closed before it answered ${packet.cmd}`)),
      );
    });
    this.#socket.write(generate(packet));
    await answered;
  }

  #read(chunk: Buffer): void {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    const end = this.#walk(bytes);
    this.#carry = end === bytes.length ? noBytes : Buffer.from(bytes.subarray(end));
    this.#acknowledge();
    const pubacks = this.#pubacks;
    this.#pubacks = 0;
    if (pubacks > 0) this.#handlers.onPuback?.(pubacks);
  }

  /** Returns where the first frame that is not whole begins. */
  #walk(bytes: Buffer): number {
    let start = 0;
    while (start + 2 <= bytes.length) {
      let body = start + 1;
      let remaining = 0;
      let shift = 0;
      let digit = 0x80;
      while (digit > 0x7f && body < bytes.length) {
        digit = bytes[body++] as number;
        remaining |= (digit & 0x7f) << shift;
        shift += 7;
      }
      const end = body + remaining;
      if (digit > 0x7f || end > bytes.length) return start;
      const type = (bytes[start] as number) >> 4;
      if (type === pubackType) this.#pubacks++;
      else if (type === publishType) this.#onPublish(bytes, bytes[start] as number, body);
      else this.#answered?.(type);
      start = end;
    }
    return start;
  }

  #onPublish(bytes: Buffer, first: number, body: number): void {
    let payload = body + 2 + (((bytes[body] as number) << 8) | (bytes[body + 1] as number));
    if ((first & 6) !== 0) {
      this.#oweAck(bytes[payload] as number, bytes[payload + 1] as number);
      payload += 2;
    }
    this.#handlers.onPublish?.(bytes, payload);
  }

  #oweAck(high: number, low: number): void {
    if (this.#acksLength + 4 > this.#acks.length) this.#acknowledge();
    const at = this.#acksLength;
    this.#acks[at] = pubackType << 4;
    this.#acks[at + 1] = 2;
    this.#acks[at + 2] = high;
    this.#acks[at + 3] = low;
    this.#acksLength += 4;
  }

  #acknowledge(): void {
    if (this.#acksLength === 0) return;
    this.#socket.write(Buffer.from(this.#acks.subarray(0, this.#acksLength)));
    this.#acksLength = 0;
  }
}
