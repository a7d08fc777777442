/**
 * Stands between an agent and its broker and notes when the PUBACK of each tick passes. It adds the time of one hop over
 * loopback to both directions, so what is measured is never better than what the agent sees.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type Packet, parser } from "mqtt-packet";
import type { Teardown } from "../../support/teardown.ts";

export class Acknowledgements {
  /** Monotonic milliseconds by trade id; every trade is sent once. */
  readonly atMs = new Map<string, number>();
  readonly #unacknowledged = new Map<number, string>();
  readonly #brokerPort: number;

  constructor(brokerPort: number) {
    this.#brokerPort = brokerPort;
  }

  /** @returns the URL that the agent is to connect to */
  async start(t: Teardown): Promise<string> {
    const server = createServer({ noDelay: true }, (agent) => this.#relay(agent));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.teardown(() => server.close());
    return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #relay(agent: Socket): void {
    const broker = connect({ port: this.#brokerPort, host: "127.0.0.1", noDelay: true });
    observe(agent, broker, (packet) => {
      if (packet.cmd !== "publish" || packet.qos !== 1) return;
      const tradeId = /"tradeId":"(\d+)"/.exec(packet.payload.toString())?.[1];
      if (tradeId !== undefined) this.#unacknowledged.set(packet.messageId ?? 0, tradeId);
    });
    observe(broker, agent, (packet) => {
      if (packet.cmd !== "puback") return;
      const tradeId = this.#unacknowledged.get(packet.messageId ?? 0);
      if (tradeId !== undefined) this.atMs.set(tradeId, performance.now());
    });
  }
}

function observe(from: Socket, to: Socket, see: (packet: Packet) => void): void {
  const packets = parser();
  packets.on("packet", see);
  from.on("data", (bytes: Buffer) => {
    to.write(bytes);
    packets.parse(bytes);
  });
  from.on("error", () => to.destroy()); // one side may go without a word when the run ends
  from.on("close", () => to.destroy());
}
