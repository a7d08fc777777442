/** An MQTT client in which the test decides every packet: real socket, mqtt-packet for the bytes. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { generate, type Packet, parser } from "mqtt-packet";
import type { Teardown } from "./teardown.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests look into packets of every kind
export type AnyPacket = Record<string, any>;

const defaultWaitMs = 30_000;

export class MqttClient {
  readonly socket: Socket;
  /** Everything received and not yet taken by `next`. */
  readonly inbox: AnyPacket[] = [];
  readonly closed: Promise<void>;
  isClosed = false;
  #waiting: (() => void)[] = [];
  #lastId = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = parser({ protocolVersion: 4 });
    reader.on("packet", (packet: Packet) => {
      this.inbox.push(packet as AnyPacket);
      this.#wake();
    });
    socket.on("data", (chunk) => reader.parse(chunk));
    socket.on("error", () => {});
    // Not `once` of node:events: a reset connection is an end like any other here.
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** A socket on which nothing has been sent. */
  static async open(t: Teardown, port: number, host = "127.0.0.1"): Promise<MqttClient> {
    const socket = connect({ port, host, noDelay: true });
    t.teardown(() => socket.destroy());
    await once(socket, "connect");
    return new MqttClient(socket);
  }

  /** A connected client. Its `connack` is checked to be a success. */
  static async connect(
    t: Teardown,
    port: number,
    clientId: string,
    options: { clean?: boolean; keepalive?: number; will?: object; host?: string } = {},
  ): Promise<MqttClient & { sessionPresent: boolean }> {
    const client = await MqttClient.open(t, port, options.host);
    client.sendConnect(clientId, options);
    const connack = await client.next("connack");
    if (connack.returnCode !== 0) throw new Error(`connection refused with ${connack.returnCode}`);
    return Object.assign(client, { sessionPresent: connack.sessionPresent as boolean });
  }

  sendConnect(clientId: string, options: { clean?: boolean; keepalive?: number; will?: object } = {}): void {
    const { clean = true, keepalive = 0, will } = options;
    const base = { cmd: "connect", clientId, clean, keepalive, protocolId: "MQTT", protocolVersion: 4 };
    this.send({ ...base, ...(will === undefined ? {} : { will }) });
  }

  send(packet: object): void {
    this.socket.write(generate(packet as Packet));
  }

  /** The next packet of a kind; packets of other kinds stay in the inbox. */
  async next(cmd: string, waitMs = defaultWaitMs): Promise<AnyPacket> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const at = this.inbox.findIndex((packet) => packet.cmd === cmd);
      if (at !== -1) return this.inbox.splice(at, 1)[0] as AnyPacket;
      if (this.isClosed) throw new Error(`closed while waiting for ${cmd}`);
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no ${cmd} within ${waitMs} ms`);
      await this.#change(left);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #change(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async subscribe(topic: string, qos: 0 | 1 | 2 = 1): Promise<number> {
    this.send({ cmd: "subscribe", messageId: this.#nextId(), subscriptions: [{ topic, qos }] });
    const { granted } = await this.next("suback");
    return granted[0];
  }

  async unsubscribe(topic: string): Promise<void> {
    this.send({ cmd: "unsubscribe", messageId: this.#nextId(), unsubscriptions: [topic] });
    await this.next("unsuback");
  }

  sendPublish(
    topic: string,
    payload: string,
    options: { qos?: 0 | 1 | 2; retain?: boolean; messageId?: number } = {},
  ): number {
    const { qos = 1, retain = false, messageId = this.#nextId() } = options;
    this.send({ cmd: "publish", topic, payload, qos, retain, dup: false, messageId });
    return messageId;
  }

  /** Publishes at QoS 1 and waits for the PUBACK. */
  async publish(topic: string, payload: string, options: { retain?: boolean } = {}): Promise<void> {
    const messageId = this.sendPublish(topic, payload, options);
    const answer = await this.next("puback");
    if (answer.messageId !== messageId)
      throw new Error(`PUBACK for ${answer.messageId}, expected ${messageId}`);
  }

  puback(messageId: number): void {
    this.send({ cmd: "puback", messageId });
  }

  /** The payload of the next message, acknowledged. */
  async receive(waitMs = defaultWaitMs): Promise<string> {
    const packet = await this.next("publish", waitMs);
    if (packet.qos === 1) this.puback(packet.messageId);
    return packet.payload.toString();
  }

  /**
   * Everything the broker has to say until now, proved by a PINGRESP: it answers pings in order with what it sends.
   */
  async settle(): Promise<AnyPacket[]> {
    for (let round = 0; round < 2; round++) {
      this.send({ cmd: "pingreq" });
      await this.next("pingresp");
    }
    return this.inbox.filter(({ cmd }) => cmd === "publish");
  }

  /** Ends without DISCONNECT, as a crash does. */
  drop(): void {
    this.socket.destroy();
  }

  async disconnect(): Promise<void> {
    this.send({ cmd: "disconnect" });
    await this.closed;
  }

  #nextId(): number {
    this.#lastId = (this.#lastId % 65_535) + 1;
    return this.#lastId;
  }
}
