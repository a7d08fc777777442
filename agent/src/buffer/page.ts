/**
 * The ticks of a chunk that was read, made one by one as they are taken. As objects all at once they would outlive V8's
 * young generation, and a drain would fill the heap with them; the bytes they are made from are one object outside it.
 */
import type { AgedTick } from "./batch.ts";
import type { Chunk } from "./chunk.ts";
import type { Range } from "./positions.ts";
import type { Stream } from "./queue.ts";

const lineFeed = 10;

export class Page {
  readonly #chunk: Chunk;
  readonly #bytes: Buffer<ArrayBuffer>;
  readonly #wanted: Iterator<Range>;
  readonly #streamOf: (id: number) => Stream;
  #range: Range | undefined;
  /** The next position, and where its record begins. */
  #position: number;
  #start = 0;

  /** @param wanted positions of the chunk, ascending */
  constructor(chunk: Chunk, wanted: readonly Range[], streamOf: (id: number) => Stream) {
    const { buffer, byteOffset, byteLength } = chunk.payloads;
    this.#chunk = chunk;
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength);
    this.#wanted = wanted.values();
    this.#streamOf = streamOf;
    this.#position = chunk.first;
    this.#advance();
  }

  /** When its newest tick came. */
  get uptimeMs(): number {
    return this.#chunk.uptimeMs;
  }

  /** @returns undefined when all have been taken */
  take(): AgedTick | undefined {
    const range = this.#range;
    if (range === undefined) return undefined;
    while (this.#position < range[0]) this.#pass(this.#end());
    const { first, streamIds, uptimeMs: bufferedUptimeMs, wallMs: bufferedTimeMs } = this.#chunk;
    const position = this.#position;
    const stream = this.#streamOf(streamIds[position - first] ?? 0);
    const end = this.#end();
    const payload = this.#bytes.toString("utf8", this.#start, end);
    this.#pass(end);
    if (this.#position > range[1]) this.#advance();
    return { position, stream, payload, bufferedTimeMs, bufferedUptimeMs };
  }

  #end(): number {
    return this.#bytes.indexOf(lineFeed, this.#start);
  }

  #pass(end: number): void {
    this.#position += 1;
    this.#start = end + 1;
  }

  #advance(): void {
    this.#range = this.#wanted.next().value;
    // Left to the garbage collection, some 60 MB of these would gather before it looks outside its heap.
    if (this.#range === undefined) this.#bytes.buffer.transfer(0);
  }
}
