/** The last message of each topic that was published with RETAIN, bounded by bytes. */
import { bodyOf, type Chunk, ChunkBuilder } from "../journal/chunk.ts";
import { matches } from "../router/match.ts";

export class Retained {
  readonly #maxBytes: number;
  readonly #onFull: (topic: string) => void;
  /** Frames as they came, QoS included. */
  readonly #frames = new Map<string, Buffer>();
  #bytes = 0;

  constructor(options: { maxBytes: number; onFull: (topic: string) => void }) {
    this.#maxBytes = options.maxBytes;
    this.#onFull = options.onFull;
  }

  get count(): number {
    return this.#frames.size;
  }

  /** Remembers a PUBLISH frame; an empty payload forgets [MQTT-3.3.1-10]. At the bound new topics are refused. */
  set(topic: string, bytes: Buffer, start: number, body: number, end: number): void {
    const qos = ((bytes[start] as number) >> 1) & 3;
    const payloadStart = body + 2 + bytes.readUInt16BE(body) + (qos > 0 ? 2 : 0);
    const old = this.#frames.get(topic);
    if (payloadStart === end) {
      this.#frames.delete(topic);
      this.#bytes -= old?.length ?? 0;
      return;
    }
    const grown = this.#bytes - (old?.length ?? 0) + end - start;
    if (grown > this.#maxBytes) return this.#onFull(topic);
    this.#bytes = grown;
    this.#frames.set(topic, Buffer.from(bytes.subarray(start, end)));
  }

  /** What a new subscription gets at once, as a chunk that lives in memory; undefined when nothing matches. */
  chunkFor(filter: string): Chunk | undefined {
    const builder = new ChunkBuilder(1_024);
    for (const frame of this.#matching(filter)) {
      if ((((frame[0] as number) >> 1) & 3) === 0)
        builder.addFrameWithoutId(frame, 0, bodyOf(frame, 0), frame.length);
      else builder.addFrame(frame, 0, frame.length);
    }
    return builder.count === 0 ? undefined : builder.finish(-1);
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
