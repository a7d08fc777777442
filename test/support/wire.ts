/** A TCP relay on which a test can stop single connections, as a firewall does that has forgotten them: no end, no reset. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Teardown } from "./teardown.ts";

/** One connection through the relay. */
export class WireLink {
  readonly #client: Socket;
  readonly #server: Socket;
  /** What the client has said, as long as it is short. */
  said = "";

  constructor(client: Socket, server: Socket) {
    this.#client = client;
    this.#server = server;
    client.on("data", (chunk) => {
      this.said = (this.said + chunk.toString("latin1")).slice(-65_536);
    });
    client.pipe(server);
    server.pipe(client);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const)
      one.on("error", () => {}).on("close", () => other.destroy());
  }

  /** Nothing comes back any more; what is asked still arrives. */
  holdAnswers(): void {
    this.#server.unpipe(this.#client);
    this.#server.pause();
  }

  releaseAnswers(): void {
    this.#server.pipe(this.#client);
  }

  /** Nothing passes any more, either way. */
  freeze(): void {
    this.holdAnswers();
    this.#client.unpipe(this.#server);
    this.#client.pause();
  }

  cut(): void {
    this.#client.destroy();
  }
}

export interface Wire {
  port: number;
  /** Open connections, oldest first. */
  links(): WireLink[];
  /** New connections are closed at once. */
  refuse: boolean;
}

/** Relays from a free port to another one on loopback. */
export async function startWire(t: Teardown, toPort: number): Promise<Wire> {
  const links = new Set<WireLink>();
  const wire: Wire = { port: 0, links: () => [...links], refuse: false };
  const server = createServer((client) => {
    if (wire.refuse) return void client.destroy();
    const link = new WireLink(client, connect({ port: toPort, host: "127.0.0.1", noDelay: true }));
    links.add(link);
    client.on("close", () => links.delete(link));
  }).listen(0, "127.0.0.1");
  t.teardown(() => {
    server.close();
    for (const link of links) link.cut();
  });
  await once(server, "listening");
  wire.port = (server.address() as AddressInfo).port;
  return wire;
}
