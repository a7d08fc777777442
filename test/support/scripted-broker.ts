/**
 * A broker of which the test decides every packet: a real socket server that does nothing by itself but accept
 * CONNECT and SUBSCRIBE (unless told otherwise) and answer pings, and keeps what it receives, in order.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { generate, type Packet, parser } from "mqtt-packet";
import type { Teardown } from "./teardown.ts";

type Command = Packet["cmd"];
export type Received<C extends Command> = Extract<Packet, { cmd: C }>;

export interface Script {
  /** CONNACK's return code; 0 accepts. */
  connectCode?: number;
  /** SUBACK's code for every filter; 128 refuses. */
  subscribeCode?: number;
  /** Runs after CONNACK has been sent, before anything else is read. */
  onConnected?: (connection: ScriptedConnection) => void;
  /** Answers pings; on by default. */
  pings?: boolean;
}

/** One client's connection. */
export class ScriptedConnection {
  /** Every packet so far, in order. */
  readonly received: Packet[] = [];
  readonly closed: Promise<unknown>;
  readonly #socket: Socket;
  readonly #script: Script;
  #waiting: (() => void)[] = [];

  constructor(socket: Socket, script: Script) {
    this.#socket = socket;
    this.#script = script;
    this.closed = once(socket, "close");
    const packets = parser();
    packets.on("packet", (packet) => this.#take(packet));
    socket.on("data", (data) => packets.parse(data));
    // A client that goes away without a word is part of many tests.
    socket.on("error", () => {});
  }

  send(...packets: Packet[]): void {
    this.#socket.write(Buffer.concat(packets.map((packet) => generate(packet))));
  }

  /** A QoS 1 delivery. */
  deliver(messageId: number, topic: string, payload: string, dup = false): void {
    this.send({ cmd: "publish", topic, payload, qos: 1, dup, retain: false, messageId });
  }

  of<C extends Command>(command: C): Received<C>[] {
    return this.received.filter((packet): packet is Received<C> => packet.cmd === command);
  }

  /** Packet ids of the PUBACKs so far. */
  get acknowledged(): number[] {
    return this.of("puback").map(({ messageId }) => messageId ?? 0);
  }

  publishedTo(topic: string): Received<"publish">[] {
    return this.of("publish").filter((packet) => packet.topic === topic);
  }

  /** Resolves when the condition holds; looked at after every packet. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(packet: Packet): void {
    this.received.push(packet);
    this.#answer(packet);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #answer(packet: Packet): void {
    const { connectCode = 0, subscribeCode = 1, pings = true } = this.#script;
    if (packet.cmd === "connect") {
      this.send({ cmd: "connack", returnCode: connectCode, sessionPresent: false });
      this.#script.onConnected?.(this);
    } else if (packet.cmd === "subscribe") {
      const granted = packet.subscriptions.map(() => subscribeCode);
      this.send({ cmd: "suback", messageId: packet.messageId ?? 0, granted });
    } else if (packet.cmd === "unsubscribe") {
      this.send({ cmd: "unsuback", messageId: packet.messageId ?? 0, granted: [] });
    } else if (packet.cmd === "publish" && packet.qos === 1) {
      this.send({ cmd: "puback", messageId: packet.messageId ?? 0 });
    } else if (packet.cmd === "pingreq" && pings) {
      this.send({ cmd: "pingresp" });
    }
  }
}

export class ScriptedBroker {
  readonly connections: ScriptedConnection[] = [];
  readonly url: string;
  readonly #server: Server;
  #waiting: (() => void)[] = [];

  constructor(server: Server, script: Script) {
    this.#server = server;
    this.url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (socket) => {
      this.connections.push(new ScriptedConnection(socket, script));
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** The nth connection, from 0, past or to come. */
  async connection(index = 0): Promise<ScriptedConnection> {
    for (;;) {
      const connection = this.connections[index];
      if (connection !== undefined) return connection;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async stop(): Promise<void> {
    for (const connection of this.connections) connection.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export async function startScriptedBroker(t: Teardown, script: Script = {}): Promise<ScriptedBroker> {
  const server = createServer({ noDelay: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const broker = new ScriptedBroker(server, script);
  t.teardown(() => broker.stop());
  return broker;
}
