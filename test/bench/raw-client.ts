/** A bare MQTT 3.1.1 client for benchmarks: pre-encoded frames on a raw socket, so that it costs next to nothing. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { generate } from "mqtt-packet";

export class RawClient {
  readonly #socket: Socket;
  #carry: Buffer = Buffer.alloc(0);
  /** PUBLISH packets received. */
  received = 0;
  /** PUBACK packets received. */
  acknowledged = 0;
  #onPuback: ((count: number) => void) | undefined;
  #onPublish: ((bytes: Buffer, start: number, end: number) => void) | undefined;
  #control: ((type: number) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  static async connect(port: number, clientId: string): Promise<RawClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const client = new RawClient(socket);
    const answered = client.#answer(2);
    socket.write(
      generate({
        cmd: "connect",
        clientId,
        clean: true,
        keepalive: 0,
        protocolVersion: 4,
        protocolId: "MQTT",
      }),
    );
    await answered;
    return client;
  }

  async subscribe(filter: string, qos: 0 | 1): Promise<void> {
    const answered = this.#answer(9);
    this.#socket.write(
      generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos }] } as Parameters<
        typeof generate
      >[0]),
    );
    await answered;
  }

  onPublish(callback: (bytes: Buffer, start: number, end: number) => void): void {
    this.#onPublish = callback;
  }

  /**
   * Publishes at QoS 1 with `window` unacknowledged messages until `count` are acknowledged.
   * @param stamp may write into the payload of each frame just before it is sent
   */
  async publish(topic: string, options: { payload: Buffer; window: number; count: number }): Promise<void> {
    const { payload, window, count } = options;
    const frame = generate({
      cmd: "publish",
      topic,
      payload,
      qos: 1,
      messageId: 1,
      dup: false,
      retain: false,
    });
    const idAt = frame.length - payload.length - 2;
    const burst = Buffer.concat(Array.from({ length: window }, () => frame));
    let sent = 0;
    let id = 0;
    const send = (n: number): void => {
      const bytes = Buffer.allocUnsafe(n * frame.length);
      burst.copy(bytes, 0, 0, bytes.length);
      for (let at = idAt; at < bytes.length; at += frame.length) {
        id = id === 65_535 ? 1 : id + 1;
        bytes[at] = id >> 8;
        bytes[at + 1] = id & 0xff;
      }
      sent += n;
      this.#socket.write(bytes);
    };
    await new Promise<void>((resolve) => {
      this.#onPuback = (acks) => {
        this.acknowledged += acks;
        if (this.acknowledged >= count) return resolve();
        send(Math.min(acks, Math.max(0, count - sent)));
      };
      send(Math.min(window, count));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #answer(type: number): Promise<void> {
    return new Promise((resolve) => {
      this.#control = (got) => {
        if (got === type) resolve();
      };
    });
  }

  #read(chunk: Buffer): void {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    let start = 0;
    let pubacks = 0;
    const answers: number[] = [];
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
      if (digit > 0x7f || end > bytes.length) break;
      const type = (bytes[start] as number) >> 4;
      if (type === 4) pubacks++;
      else if (type === 3) {
        this.received++;
        if (((bytes[start] as number) & 6) !== 0) {
          const idAt = body + 2 + (((bytes[body] as number) << 8) | (bytes[body + 1] as number));
          answers.push(bytes[idAt] as number, bytes[idAt + 1] as number);
        }
        this.#onPublish?.(bytes, body, end);
      } else this.#control?.(type);
      start = end;
    }
    this.#carry = bytes.subarray(start);
    if (answers.length > 0) this.#acknowledge(answers);
    if (pubacks > 0) this.#onPuback?.(pubacks);
  }

  #acknowledge(ids: readonly number[]): void {
    const out = Buffer.allocUnsafe(ids.length * 2);
    for (let at = 0; at < ids.length; at += 2) {
      out[at * 2] = 0x40;
      out[at * 2 + 1] = 2;
      out[at * 2 + 2] = ids[at] as number;
      out[at * 2 + 3] = ids[at + 1] as number;
    }
    this.#socket.write(out);
  }
}
