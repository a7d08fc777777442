import { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { Wire } from "./listener.ts";

/** Answers to pings that the other side need not have taken; further pings go unanswered. */
const maxPongBytes = 16_384;

/** The bytes in the binary messages of a WebSocket; borders of messages mean nothing [MQTT-6.0.0-2]. */
export class WebSocketWire extends Duplex implements Wire {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly #webSocket: WebSocket;
  readonly #beneath: Wire;

  /** @param beneath the socket that carries the WebSocket */
  constructor(webSocket: WebSocket, beneath: Wire) {
    super({ allowHalfOpen: false });
    this.#webSocket = webSocket;
    this.#beneath = beneath;
    this.remoteAddress = beneath.remoteAddress;
    this.remotePort = beneath.remotePort;
    webSocket.binaryType = "nodebuffer";
    webSocket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    webSocket.on("ping", (data) => {
      if (beneath.writableLength < maxPongBytes) webSocket.pong(data);
    });
    webSocket.on("error", (error) => this.destroy(error));
    // What came before the close is still to be read.
    webSocket.on("close", () => this.push(null));
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    // [MQTT-6.0.0-1]
    if (!isBinary) this.destroy(new Error("a WebSocket message that is not binary"));
    else if (!this.push(data)) this.#webSocket.pause();
  }

  override _read(): void {
    if (this.#webSocket.isPaused) this.#webSocket.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#webSocket.send(bytes, (error) => done(error));
  }

  /** The closing handshake; it ends with the `close` of the WebSocket, which ws bounds in time. */
  override _final(done: (error?: Error | null) => void): void {
    this.#webSocket.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#webSocket.terminate();
    done(error);
  }

  setTimeout(idleMs: number, listener: () => void): void {
    this.#beneath.setTimeout(idleMs, listener);
  }

  destroySoon(): void {
    this.end();
  }
}
