/** Ticks on their way into one commit. */
import { type Chunk, rangesOf } from "./chunk.ts";
import type { LostRange } from "./protocol.ts";
import type { BufferedTick } from "./queue.ts";
import type { NumberedStream } from "./streams.ts";

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
  readonly ticks: NumberedTick[] = [];
  /** The last sequence number of each stream in this batch. */
  readonly lastSeq = new Map<NumberedStream, number>();
  /** Numbers that were given up before they were written. */
  readonly dropped: LostRange[] = [];
  /** Losses that gap records of this batch tell of. */
  readonly told: LostRange[] = [];
  bytes = 0;

  get size(): number {
    return this.ticks.length;
  }

  add(tick: NumberedTick): void {
    this.ticks.push(tick);
    this.lastSeq.set(tick.stream, tick.seq);
    this.bytes += tick.payload.length;
  }

  /** The stream's newest number is given up. */
  drop(stream: NumberedStream): void {
    this.lastSeq.set(stream, stream.seq);
    const range = this.dropped.findLast(({ streamId }) => streamId === stream.id);
    if (range?.toSeq === stream.seq - 1) range.toSeq = stream.seq;
    else
      this.dropped.push({ streamId: stream.id, fromSeq: stream.seq, toSeq: stream.seq, reason: "evicted" });
  }

  /** @returns undefined for an empty batch */
  chunk(): Chunk | undefined {
    const [first] = this.ticks;
    const last = this.ticks.at(-1);
    if (first === undefined || last === undefined) return undefined;
    return {
      first: first.position,
      payloads: `${this.ticks.map(({ payload }) => payload).join("\n")}\n`,
      streamIds: Uint32Array.from(this.ticks, ({ stream }) => stream.id),
      ranges: rangesOf(this.ticks.map(({ stream, seq }) => ({ streamId: stream.id, seq }))),
      uptimeMs: last.bufferedUptimeMs,
      wallMs: last.bufferedTimeMs,
    };
  }
}
