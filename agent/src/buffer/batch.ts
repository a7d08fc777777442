/** Ticks on their way into one commit. */
import type { Missing } from "@equipoise/shared";
import { type Chunk, rangesOf } from "./chunk.ts";
import type { LostRange } from "./protocol.ts";
import type { BufferedTick } from "./queue.ts";
import { coalesced, isDetail } from "./retold.ts";
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
  dropped: LostRange[] = [];
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

  /** Two that can be committed one behind the other; undefined where this one only makes sense as a whole. */
  halves(): [Batch, Batch] | undefined {
    if (this.size < 2 || this.dropped.length + this.told.length > 0) return undefined;
    const halves: [Batch, Batch] = [new Batch(), new Batch()];
    for (const [index, tick] of this.ticks.entries()) halves[index < this.size / 2 ? 0 : 1].add(tick);
    return halves;
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
