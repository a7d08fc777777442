/**
 * A connection's stream as mqtt.js gets it, and beside it the lane of the ticks: their PUBLISHes are written to the wire
 * from here, their PUBACKs taken out before mqtt.js sees them. Everything else is mqtt.js's and passes unchanged.
 *
 * What mqtt.js writes comes in whole packets, for it corks its stream while it makes one; each lot goes to the wire in
 * one piece, so a tick's frame never falls into the middle of a packet.
 */
import { Duplex } from "node:stream";
import { Frames } from "./frames.ts";
import { Splitter } from "./splitter.ts";

type Done = (error?: Error | null) => void;

export class Lane extends Duplex {
  readonly #wire: Duplex;
  readonly #splitter: Splitter;
  readonly #frames: Frames;
  #acknowledged: (packetId: number) => void = () => {};

  /**
   * @param wire a new connection, which is the lane's from now on
   * @param heard called with each chunk that brought PUBACKs of ticks, which mqtt.js does not see
   */
  constructor(wire: Duplex, heard: () => void) {
    super();
    this.#wire = wire;
    this.#frames = new Frames((bytes) => this.#writeFrames(bytes));
    this.#splitter = new Splitter({
      acknowledged: (packetId) => this.#acknowledged(packetId),
      other: (bytes) => {
        if (!this.push(bytes)) wire.pause();
      },
    });
    wire.on("data", (chunk: Buffer) => {
      if (this.#splitter.take(chunk) > 0) heard();
    });
    wire.on("error", (error) => this.destroy(error));
    wire.on("close", () => this.destroy());
  }

  /** Calls back with the packet identifier of each PUBACK of a tick. */
  follow(acknowledged: (packetId: number) => void): void {
    this.#acknowledged = acknowledged;
  }

  /** Publishes at QoS 1; leaves with {@link flush} at the latest, and is lost with the connection. */
  publish(topic: string, packetId: number, payload: string | Buffer): void {
    this.#frames.add(topic, packetId, payload);
  }

  flush(): void {
    this.#frames.flush();
  }

  #writeFrames(bytes: Buffer): boolean {
    if (!this.#wire.writable) return true;
    // How much waits here is bounded by the publisher's window.
    this.#wire.write(bytes);
    return this.#wire.writableLength === 0;
  }

  override _read(): void {
    this.#wire.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    // It is on its way in whole; only what would come after it waits when the broker does not read.
    if (this.#wire.write(chunk)) done();
    else this.#wire.once("drain", done);
  }

  override _writev(chunks: readonly { chunk: Buffer }[], done: Done): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "binary", done);
  }

  override _final(done: Done): void {
    this.#wire.end();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#wire.destroy();
    done(error);
  }
}
