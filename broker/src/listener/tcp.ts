import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, EquipoiseError, reasonOf, systemCode } from "@equipoise/shared";
import type { Door } from "./door.ts";
import type { Arrival, Listener } from "./listener.ts";

/** A connection on its way to the gate; it arrives or fails, once. */
export interface Passenger {
  readonly socket: Socket;
  /** `host:port` of the other side. */
  readonly address: string;
  arrived(arrival: Arrival): void;
  /** Closes the socket. */
  failed(reason: string): void;
}

/** What a connection goes through between the TCP socket and the gate: nothing, TLS, WebSocket, or both. */
export interface Passage {
  enter(passenger: Passenger): void;
  /** @throws EquipoiseError EQ_TLS_UNUSABLE; what was in force stays so */
  reload(): Promise<void>;
}

export interface TcpOptions {
  url: URL;
  defaultPort: number;
  door: Door;
  clock: Clock;
  passage: Passage;
}

/** Binds an address and leads what comes in through the door and the passage. */
export class TcpListener implements Listener {
  readonly #options: TcpOptions;
  #server: Server | undefined;

  constructor(options: TcpOptions) {
    this.#options = options;
  }

  /** @throws EquipoiseError EQ_PORT_IN_USE, EQ_LISTEN_FAILED, EQ_TLS_UNUSABLE */
  async start(onArrival: (arrival: Arrival) => void): Promise<string> {
    const { url, defaultPort, passage } = this.#options;
    await passage.reload();
    const server = createServer({ noDelay: true }, (socket) => this.#take(socket, onArrival));
    this.#server = server;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    server.listen({ host, port: url.port === "" ? defaultPort : Number(url.port) });
    try {
      await once(server, "listening");
    } catch (error) {
      const code = systemCode(error) === "EADDRINUSE" ? "EQ_PORT_IN_USE" : "EQ_LISTEN_FAILED";
      const detail = `--listen ${url.href.replace(/\/$/, "")}: ${reasonOf(error)}`;
      throw new EquipoiseError(code, detail, { cause: error });
    }
    const bound = server.address();
    if (bound === null || typeof bound === "string") throw new Error("a TCP server without an address");
    return `${url.protocol}//${url.hostname}:${bound.port}`;
  }

  reload(): Promise<void> {
    return this.#options.passage.reload();
  }

  async stop(): Promise<void> {
    // Not awaited: it ends with its last connection, and those are closed later.
    this.#server?.close();
    this.#server = undefined;
  }

  #take(socket: Socket, onArrival: (arrival: Arrival) => void): void {
    const { door, clock, passage } = this.#options;
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    let over = false;
    const failed = (reason: string): void => {
      if (over) return;
      over = true;
      door.refuse(socket, address, reason);
    };
    // Whoever gets the socket listens too; on the way there is nobody else to tell.
    socket.on("error", (error) => failed(reasonOf(error)));
    if (!door.enter(socket, address)) return;
    const cancel = clock.after(door.limits.connectTimeoutMs, () => failed("connectTimeout"));
    socket.once("close", () => {
      cancel();
      failed("closed on the way");
    });
    const arrived = (arrival: Arrival): void => {
      if (over) return;
      over = true;
      cancel();
      onArrival(arrival);
    };
    passage.enter({ socket, address, arrived, failed });
  }
}

/** `mqtt://`: the socket as it is. */
export const straight: Passage = {
  enter: ({ socket, arrived }) => arrived({ wire: socket, certifiedName: undefined }),
  reload: async () => {},
};
