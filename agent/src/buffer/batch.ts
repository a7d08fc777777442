/**
 * Ticks on their way into one commit, and to the broker. They are kept as what a chunk is made of and become objects only
 * when they are taken: as objects all of them would outlive V8's young generation, and that costs more than all else that
 * is done to a tick.
 */
import type { Missing } from "@equipoise/shared";
import { type Chunk, Ranges } from "./chunk.ts";
import { Column } from "./column.ts";
import type { LostRange } from "./protocol.ts";
import type { BufferedTick } from "./queue.ts";
import { coalesced, isDetail } from "./retold.ts";
import type { NumberedStream } from "./streams.ts";
import { Text } from "./text.ts";

/** A tick with its age. */
export interface AgedTick extends BufferedTick {
  /** The agent's uptime, over all its runs, when it came. */
  readonly bufferedUptimeMs: number;
}

/** A tick of this run, while it is in memory. */
export interface NumberedTick extends AgedTick {
  readonly stream: NumberedStream;
  readonly seq: number;
}

export class Batch {
  /** Numbers that were given up before they were written. */
  dropped: LostRange[] = [];
  /** Losses that gap records of this batch tell of. */
  readonly told: LostRange[] = [];
  readonly #streams: NumberedStream[] = [];
  readonly #seqs = new Column();
  readonly #wallMs = new Column();
  readonly #uptimeMs = new Column();
  readonly #payloads: Text;
  readonly #ranges = new Ranges();
  /** By stream, of those that were given up. */
  readonly #droppedSeq = new Map<number, number>();
  #first = 0;
  #holders = 1;

  /** @param expectedBytes of its records; there may be more */
  constructor(expectedBytes = 0) {
    this.#payloads = new Text(expectedBytes);
  }

  get size(): number {
    return this.#streams.length;
  }

  get bytes(): number {
    return this.#payloads.byteLength;
  }

  /** The position of its first tick; of no meaning while it is empty. */
  get first(): number {
    return this.#first;
  }

  /** The position behind its last tick. */
  get end(): number {
    return this.#first + this.size;
  }

  /** The last sequence number of each stream in this batch, by the stream's id. */
  get lastSeq(): Map<number, number> {
    const last = new Map(this.#droppedSeq);
    for (const { streamId, toSeq } of this.#ranges.all)
      last.set(streamId, Math.max(toSeq, last.get(streamId) ?? 0));
    return last;
  }

  /** Somebody beside its maker needs its ticks, until {@link release}. */
  hold(): void {
    this.#holders += 1;
  }

  /**
   * Its maker, or who holds it, needs its ticks no more. When nobody does, their memory is given back: left to the garbage
   * collection it would count as pressure on it, and the whole heap would be looked at several times as often.
   */
  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.#payloads.free();
    for (const column of [this.#seqs, this.#wallMs, this.#uptimeMs]) column.free();
  }

  /** The position must be the one behind the last tick. */
  add({ position, stream, seq, payload, bufferedTimeMs, bufferedUptimeMs }: NumberedTick): void {
    if (this.size === 0) this.#first = position;
    if (position !== this.end)
      throw new Error(`the tick ${position} does not follow those before ${this.end}`);
    this.#streams.push(stream);
    this.#seqs.push(seq);
    this.#wallMs.push(bufferedTimeMs);
    this.#uptimeMs.push(bufferedUptimeMs);
    this.#payloads.push(payload);
    this.#ranges.add(stream.id, seq);
  }

  /** @param index from 0 to less than `size`, as for all that follow */
  tick(index: number): NumberedTick {
    return {
      position: this.#first + index,
      stream: this.stream(index),
      seq: this.seq(index),
      payload: this.#payloads.at(index),
      bufferedTimeMs: this.#wallMs.at(index),
      bufferedUptimeMs: this.uptimeMs(index),
    };
  }

  stream(index: number): NumberedStream {
    const stream = this.#streams[index];
    if (stream === undefined) throw new RangeError(`a batch of ${this.size} has no tick ${index}`);
    return stream;
  }

  seq(index: number): number {
    return this.#seqs.at(index);
  }

  /** When it came. */
  uptimeMs(index: number): number {
    return this.#uptimeMs.at(index);
  }

  /** Of its record. */
  bytesOf(index: number): number {
    return this.#payloads.bytesAt(index);
  }

  *ticksOf(stream: NumberedStream): IterableIterator<NumberedTick> {
    for (let index = 0; index < this.size; index += 1)
      if (this.stream(index) === stream) yield this.tick(index);
  }

  /** The stream's newest number is given up. */
  drop(stream: NumberedStream): void {
    this.#droppedSeq.set(stream.id, stream.seq);
    const range = this.dropped.findLast((lost) => lost.streamId === stream.id && !isDetail(lost));
    if (range?.toSeq === stream.seq - 1) range.toSeq = stream.seq;
    else
      this.dropped.push({ streamId: stream.id, fromSeq: stream.seq, toSeq: stream.seq, reason: "evicted" });
  }

  /** The stream's newest number is given up, and with it a gap record: what that tells is to be told later. */
  dropGap(stream: NumberedStream, missing: Missing): void {
    this.drop(stream);
    const { id: streamId, seq } = stream;
    const details = this.dropped.filter((lost) => lost.streamId === streamId).filter(isDetail);
    const detail = { streamId, fromSeq: seq, toSeq: seq, reason: missing.reason, missing };
    const others = this.dropped.filter((lost) => lost.streamId !== streamId || !isDetail(lost));
    this.dropped = [...others, ...coalesced([...details, detail])];
  }

  /** Two that can be committed one behind the other; what is beside the ticks comes last. Undefined for a single tick. */
  halves(): [Batch, Batch] | undefined {
    if (this.size < 2) return undefined;
    const halves: [Batch, Batch] = [new Batch(), new Batch()];
    for (let index = 0; index < this.size; index += 1)
      halves[index < this.size / 2 ? 0 : 1].add(this.tick(index));
    const [, last] = halves;
    last.dropped = this.dropped;
    last.told.push(...this.told);
    for (const [id, seq] of this.#droppedSeq) last.#droppedSeq.set(id, seq);
    return halves;
  }

  /** Holds views of this batch. @returns undefined for an empty one */
  chunk(): Chunk | undefined {
    if (this.size === 0) return undefined;
    return {
      first: this.#first,
      payloads: this.#payloads.bytes,
      streamIds: Uint32Array.from(this.#streams, ({ id }) => id),
      ranges: this.#ranges.all,
      uptimeMs: this.#uptimeMs.at(this.size - 1),
      wallMs: this.#wallMs.at(this.size - 1),
    };
  }
}
