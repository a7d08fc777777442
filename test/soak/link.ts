/** The way between an agent and a broker, which sees what the broker has acknowledged. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Packet, parser } from "mqtt-packet";
import type { Teardown } from "../support/teardown.ts";

export class Link {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @param acknowledged called with each QoS 1 payload whose PUBACK has come */
  static async start(
    t: Teardown,
    brokerPort: number,
    acknowledged: (topic: string, payload: string) => void,
  ): Promise<Link> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const link = new Link(server, brokerPort, acknowledged);
    t.teardown(() => link.stop());
    return link;
  }

  private constructor(
    server: Server,
    brokerPort: number,
    acknowledged: (topic: string, payload: string) => void,
  ) {
    this.#server = server;
    this.url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("connection", (agent) => {
      const broker = connect({ port: brokerPort, host: "127.0.0.1", noDelay: true });
      agent.setNoDelay(true);
      this.#join(agent, broker);
      this.#join(broker, agent);
      watch(agent, broker, acknowledged);
    });
  }

  /** Breaks off every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("error", () => {}); // either end may go without a word
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.pipe(to);
  }
}

function watch(agent: Socket, broker: Socket, acknowledged: (topic: string, payload: string) => void): void {
  const sent = new Map<number, { topic: string; payload: string }>();
  packets(agent, (packet) => {
    if (packet.cmd !== "publish" || packet.qos !== 1) return;
    sent.set(packet.messageId ?? 0, { topic: packet.topic, payload: packet.payload.toString() });
  });
  packets(broker, (packet) => {
    if (packet.cmd !== "puback") return;
    const message = sent.get(packet.messageId ?? 0);
    if (message !== undefined) acknowledged(message.topic, message.payload);
  });
}

function packets(socket: Socket, take: (packet: Packet) => void): void {
  const reader = parser();
  reader.on("packet", take);
  socket.on("data", (data) => reader.parse(data));
}
