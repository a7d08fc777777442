import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { EquipoiseError, reasonOf, systemCode } from "@equipoise/shared";
import type { Listener } from "./listener.ts";

/** `mqtt://host:port` */
export class TcpListener implements Listener {
  readonly #url: URL;
  #server: Server | undefined;

  constructor(url: URL) {
    this.#url = url;
  }

  /** @throws EquipoiseError EQ_PORT_IN_USE, EQ_LISTEN_FAILED */
  async start(onConnection: (socket: Socket) => void): Promise<string> {
    const server = createServer({ noDelay: true }, onConnection);
    this.#server = server;
    const host = this.#url.hostname.replace(/^\[|\]$/g, "");
    const port = this.#url.port === "" ? 1883 : Number(this.#url.port);
    server.listen({ host, port });
    try {
      await once(server, "listening");
    } catch (error) {
      const code = systemCode(error) === "EADDRINUSE" ? "EQ_PORT_IN_USE" : "EQ_LISTEN_FAILED";
      throw new EquipoiseError(code, `${this.#url.href.replace(/\/$/, "")}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    const bound = server.address();
    if (bound === null || typeof bound === "string") throw new Error("a TCP server without an address");
    return `mqtt://${this.#url.hostname}:${bound.port}`;
  }

  async stop(): Promise<void> {
    // Not awaited: it ends with its last connection, and those are closed later.
    this.#server?.close();
    this.#server = undefined;
  }
}
