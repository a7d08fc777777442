/** The last message of each topic that was published with RETAIN, bounded by bytes. */
import { bodyOf, type Chunk, ChunkBuilder } from "../journal/chunk.ts";
import { matches } from "../router/match.ts";

const chunkBytes = 262_144;

export class Retained {
  readonly #maxBytes: number;
  readonly #onFull: (topic: string) => void;
  readonly #keep: (topic: string, frame: Buffer | undefined) => void;
  /** Frames as they came, QoS included. */
  readonly #frames = new Map<string, Buffer>();
  #bytes = 0;

  /** @param options.keep makes a change durable */
  constructor(options: {
    maxBytes: number;
    onFull: (topic: string) => void;
    keep: (topic: string, frame: Buffer | undefined) => void;
  }) {
    this.#maxBytes = options.maxBytes;
    this.#onFull = options.onFull;
    this.#keep = options.keep;
  }

  get count(): number {
    return this.#frames.size;
  }

  /** Takes what the journal has kept. */
  recover(kept: readonly { topic: string; frame: Buffer }[]): void {
    for (const { topic, frame } of kept) {
      this.#frames.set(topic, frame);
      this.#bytes += frame.length;
    }
  }

  /**
   * Remembers a PUBLISH frame; an empty payload forgets [MQTT-3.3.1-10]. At the bound new topics are refused.
   * @param keep it survives a restart
   */
  set(topic: string, bytes: Buffer, start: number, body: number, end: number, keep = true): void {
    const qos = ((bytes[start] as number) >> 1) & 3;
    const payloadStart = body + 2 + bytes.readUInt16BE(body) + (qos > 0 ? 2 : 0);
    const old = this.#frames.get(topic);
    if (payloadStart === end) {
      this.#frames.delete(topic);
      this.#bytes -= old?.length ?? 0;
      if (old !== undefined && keep) this.#keep(topic, undefined);
      return;
    }
    const grown = this.#bytes - (old?.length ?? 0) + end - start;
    if (grown > this.#maxBytes) return this.#onFull(topic);
    this.#bytes = grown;
    const frame = Buffer.from(bytes.subarray(start, end));
    this.#frames.set(topic, frame);
    if (keep) this.#keep(topic, frame);
  }

  /** Takes what another broker has kept or, without a frame, forgotten. */
  apply(topic: string, frame: Buffer | undefined): void {
    this.#bytes += (frame?.length ?? 0) - (this.#frames.get(topic)?.length ?? 0);
    if (frame === undefined) this.#frames.delete(topic);
    else this.#frames.set(topic, frame);
  }

  /** What a new subscription gets at once, as chunks that live in memory. */
  *chunksFor(filter: string): Iterable<Chunk> {
    let builder = new ChunkBuilder(1_024);
    for (const frame of this.#matching(filter)) {
      builder.add(frame, 0, bodyOf(frame, 0), frame.length);
      // In parts: a queue that is full lets go of whole chunks.
      if (builder.byteLength < chunkBytes) continue;
      yield builder.finish(-1);
      builder = new ChunkBuilder(1_024);
    }
    if (builder.count > 0) yield builder.finish(-1);
  }

  *#matching(filter: string): Iterable<Buffer> {
    if (!/[+#]/.test(filter)) {
      const frame = this.#frames.get(filter);
      if (frame !== undefined) yield frame;
      return;
    }
    for (const [topic, frame] of this.#frames) if (matches(filter, topic)) yield frame;
  }
}
