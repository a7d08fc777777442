import { createServer, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { reasonOf } from "@equipoise/shared";
import { WebSocketServer } from "ws";
import type { Arrival } from "./listener.ts";
import type { Passage, Passenger } from "./tcp.ts";
import { WebSocketWire } from "./web-socket-wire.ts";

export interface WebSocketSettings {
  /** Largest WebSocket message; it may hold several packets, or parts of some. */
  maxMessageBytes: number;
  /** Web pages whose scripts may connect, as `https://host[:port]`, or `*`; other clients send no origin. */
  allowedOrigins: readonly string[];
}

const subprotocol = "mqtt";
const maxHeaderBytes = 8_192;

interface Upgrading {
  passenger: Passenger;
  arrival: Arrival;
}

/** `ws://`, and `wss://` behind TLS: the HTTP upgrade, then MQTT in binary messages. */
export class WebSocketPassage implements Passage {
  readonly #settings: WebSocketSettings;
  readonly #before: Passage;
  readonly #http = createServer({ maxHeaderSize: maxHeaderBytes, keepAliveTimeout: 1 });
  readonly #upgrades: WebSocketServer;
  readonly #upgrading = new WeakMap<object, Upgrading>();

  /** @param before what the bytes go through first */
  constructor(settings: WebSocketSettings, before: Passage) {
    this.#settings = settings;
    this.#before = before;
    this.#upgrades = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: settings.maxMessageBytes,
      handleProtocols: () => subprotocol,
    });
    this.#http.on("request", (_request, response) => {
      response.writeHead(426, { Connection: "close", Upgrade: "websocket" }).end();
    });
    this.#http.on("clientError", (error, socket) => {
      this.#upgrading.get(socket)?.passenger.failed(`HTTP: ${reasonOf(error)}`);
      socket.destroy();
    });
    this.#http.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  reload(): Promise<void> {
    return this.#before.reload();
  }

  enter(passenger: Passenger): void {
    const arrived = (arrival: Arrival): void => {
      this.#upgrading.set(arrival.wire, { passenger, arrival });
      this.#http.emit("connection", arrival.wire);
    };
    this.#before.enter({ ...passenger, arrived });
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const upgrading = this.#upgrading.get(socket);
    if (upgrading === undefined) {
      socket.destroy();
      return;
    }
    const { passenger, arrival } = upgrading;
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      const { status, reason } = refusal;
      socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
        passenger.failed(reason),
      );
      return;
    }
    this.#upgrades.handleUpgrade(request, socket, head, (webSocket) => {
      const { wire, certifiedName } = arrival;
      passenger.arrived({ wire: new WebSocketWire(webSocket, wire), certifiedName });
    });
  }

  #refusal({ headers }: IncomingMessage): { status: string; reason: string } | undefined {
    const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    if (!offered.includes(subprotocol))
      return { status: "400 Bad Request", reason: "no subprotocol mqtt was offered [MQTT-6.0.0-3]" };
    const { origin } = headers;
    const { allowedOrigins } = this.#settings;
    if (origin === undefined || allowedOrigins.includes(origin) || allowedOrigins.includes("*"))
      return undefined;
    return { status: "403 Forbidden", reason: `the origin ${origin} is not in webSocket.allowedOrigins` };
  }
}
