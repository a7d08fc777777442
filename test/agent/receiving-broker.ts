/** A broker that only receives: a real socket server of which the test decides when it acknowledges and when it goes. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import {
  generate,
  type IConnectPacket,
  type IPublishPacket,
  type ISubscribePacket,
  type Packet,
  parser,
} from "mqtt-packet";
import type { Teardown } from "../support/teardown.ts";

export class Received {
  connect: IConnectPacket | undefined;
  /** QoS 1 PUBLISHes in order. */
  readonly ticks: IPublishPacket[] = [];
  /** QoS 0 PUBLISHes in order. */
  readonly statuses: IPublishPacket[] = [];
  readonly subscribes: ISubscribePacket[] = [];
  saidGoodbye = false;
  readonly #socket: Socket;

  constructor(socket: Socket, take: (received: Received, packet: Packet) => void) {
    this.#socket = socket;
    const packets = parser();
    packets.on("packet", (packet) => take(this, packet));
    socket.on("data", (data) => packets.parse(data));
    socket.on("error", () => {}); // the client may go without a word
  }

  send(packet: Packet): void {
    this.#socket.write(generate(packet));
  }

  grant({ messageId = 0, subscriptions }: ISubscribePacket): void {
    this.send({ cmd: "suback", messageId, granted: subscriptions.map(({ qos }) => qos) });
  }

  acknowledge({ messageId = 0 }: IPublishPacket): void {
    this.send({ cmd: "puback", messageId });
  }

  drop(): void {
    this.#socket.destroy();
  }
}

export class ReceivingBroker {
  readonly connections: Received[] = [];
  /** Whether each tick is acknowledged as it comes. */
  acknowledges = true;
  /** Whether each subscription is answered as it comes. */
  grants = true;
  /** CONNACK's return code. */
  connectCode = 0;
  /** Drops the connection behind this many of its ticks. */
  dropAfter = Number.POSITIVE_INFINITY;
  #server: Server | undefined;
  #port = 0;

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  get ticks(): IPublishPacket[] {
    return this.connections.flatMap(({ ticks }) => ticks);
  }

  /** Listens; on the same port again after {@link stop}. */
  async start(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => {
      this.connections.push(new Received(socket, (received, packet) => this.#take(received, packet)));
    });
    this.#server = server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    this.#port = (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    for (const connection of this.connections) connection.drop();
    await closed;
  }

  #take(received: Received, packet: Packet): void {
    if (packet.cmd === "connect") {
      received.connect = packet;
      received.send({ cmd: "connack", returnCode: this.connectCode, sessionPresent: false });
      if (this.connectCode !== 0) received.drop();
    } else if (packet.cmd === "subscribe") {
      received.subscribes.push(packet);
      if (this.grants) received.grant(packet);
    } else if (packet.cmd === "disconnect") {
      received.saidGoodbye = true;
    } else if (packet.cmd === "publish" && packet.qos === 0) {
      received.statuses.push(packet);
    } else if (packet.cmd === "publish") {
      this.#takeTick(received, packet);
    }
  }

  #takeTick(received: Received, packet: IPublishPacket): void {
    if (received.ticks.length >= this.dropAfter) {
      received.drop();
      return;
    }
    received.ticks.push(packet);
    if (this.acknowledges) received.acknowledge(packet);
  }
}

export async function startReceivingBroker(t: Teardown): Promise<ReceivingBroker> {
  const broker = new ReceivingBroker();
  await broker.start();
  t.teardown(() => broker.stop());
  return broker;
}
