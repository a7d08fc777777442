/** Ticks on their way into one commit. */
import type { Commit, StoredStream } from "./protocol.ts";
import type { BufferedTick } from "./queue.ts";
import type { NumberedStream } from "./streams.ts";

export class Batch {
  readonly #payloads: string[] = [];
  readonly #streams: NumberedStream[] = [];
  /** The last sequence number of each stream in this batch. */
  readonly #lastSeq = new Map<NumberedStream, number>();
  bytes = 0;

  get size(): number {
    return this.#payloads.length;
  }

  add(stream: NumberedStream, payload: string): void {
    this.#payloads.push(payload);
    this.#streams.push(stream);
    this.#lastSeq.set(stream, stream.seq);
    this.bytes += payload.length;
  }

  commit(first: number, bufferedTimeMs: number, settled: number): Commit {
    const payloads = this.size === 0 ? "" : `${this.#payloads.join("\n")}\n`;
    const streamIds = Uint32Array.from(this.#streams, ({ id }) => id);
    const streams: StoredStream[] = [];
    for (const [{ id, venue, symbol }, seq] of this.#lastSeq) streams.push({ id, venue, symbol, seq });
    return { first, payloads, streamIds, streams, bufferedTimeMs, settled };
  }

  /** The batch as ticks, once it is committed. */
  ticks(first: number, bufferedTimeMs: number): BufferedTick[] {
    return this.#payloads.map((payload, index) => {
      const stream = this.#streams[index] as NumberedStream;
      return { position: first + index, stream, payload, bufferedTimeMs };
    });
  }
}
