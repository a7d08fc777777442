/** The ticks that are handed out from memory, in order; they stay in the batches of their commits until they are taken. */
import type { Batch, NumberedTick } from "./batch.ts";
import type { NumberedStream } from "./streams.ts";

export class LiveTicks {
  readonly #batches: Batch[] = [];
  /** Of the next tick in the first batch. */
  #index = 0;
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the newest tick of a batch. */
  put(batch: Batch): void {
    const newest = batch.size - 1;
    if (this.#size === 0) this.#index = newest;
    if (this.#batches.at(-1) !== batch) this.#hold(batch);
    this.#size += 1;
    this.#bytes += batch.bytesOf(newest);
  }

  peek(): NumberedTick | undefined {
    return this.#batches[0]?.tick(this.#index);
  }

  /** The next one; undefined when its number may not leave the device yet, because it is not durably reserved. */
  take(): NumberedTick | undefined {
    const batch = this.#batches[0];
    if (batch === undefined || batch.seq(this.#index) > batch.stream(this.#index).reserved) return undefined;
    const tick = batch.tick(this.#index);
    this.#bytes -= batch.bytesOf(this.#index);
    this.#size -= 1;
    this.#index += 1;
    if (this.#size === 0) this.clear();
    else if (this.#index === batch.size) this.#leave();
    return tick;
  }

  *all(): IterableIterator<NumberedTick> {
    let index = this.#index;
    for (const batch of this.#batches) {
      for (; index < batch.size; index += 1) yield batch.tick(index);
      index = 0;
    }
  }

  /** The number of the first one of each stream. */
  firstSeqs(): Map<NumberedStream, number> {
    const seqs = new Map<NumberedStream, number>();
    let index = this.#index;
    for (const batch of this.#batches) {
      for (; index < batch.size; index += 1) {
        const stream = batch.stream(index);
        if (!seqs.has(stream)) seqs.set(stream, batch.seq(index));
      }
      index = 0;
    }
    return seqs;
  }

  clear(): void {
    for (const batch of this.#batches.splice(0)) batch.release();
    this.#size = 0;
    this.#bytes = 0;
  }

  #hold(batch: Batch): void {
    batch.hold();
    this.#batches.push(batch);
  }

  #leave(): void {
    this.#batches.shift()?.release();
    this.#index = 0;
  }
}
