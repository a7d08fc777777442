/**
 * What leaves the buffer next. Live ticks come straight from memory; when they are not taken in time they become part of
 * the backlog, which is read from the disk.
 *
 * In order, the backlog goes first and the live ticks behind it. After an outage, that is while the next tick of the
 * backlog is older than `lateMs`, or always with `newestFirst`, live ticks and backlog take turns, so that a fresh price
 * does not wait behind old ones. Then a stream's numbers arrive out of order, but none is left out.
 */

import { Backlog, type BacklogOptions } from "./backlog.ts";
import type { AgedTick, NumberedTick } from "./batch.ts";
import type { NumberedStream } from "./streams.ts";

export interface OutletOptions extends BacklogOptions {
  uptimeMs: () => number;
}

const maxLiveTicks = 4_096;
const maxLiveBytes = 2 * 2 ** 20;
const lateMs = 10_000;
/** Turns are taken only while what is done stays this simple; otherwise the backlog goes first for a while. */
const maxFragments = 256;

export class Outlet {
  readonly backlog: Backlog;
  readonly #options: OutletOptions;
  #live: NumberedTick[] = [];
  #index = 0;
  #liveBytes = 0;
  #turn: "live" | "backlog" = "live";

  constructor(options: OutletOptions) {
    this.#options = options;
    this.backlog = new Backlog(options);
  }

  /** @returns false when the live ticks have become part of the backlog, so that a commit is due */
  put(tick: NumberedTick): boolean {
    this.#live.push(tick);
    this.#liveBytes += tick.payload.length;
    if (this.#live.length - this.#index <= maxLiveTicks && this.#liveBytes <= maxLiveBytes) {
      if (this.#live.length - this.#index === 1) this.#options.readable();
      return true;
    }
    this.#noteTaken();
    this.backlog.extend(tick.position + 1);
    this.#live = [];
    this.#index = 0;
    this.#liveBytes = 0;
    return false;
  }

  /** What comes before the live ticks of a stream was handed out, unless it is in the backlog. */
  #noteTaken(): void {
    const wasEmpty = this.backlog.isEmpty();
    const seen = new Set<NumberedStream>();
    for (const { stream, seq } of this.#live.slice(this.#index)) {
      if (!seen.has(stream) && (wasEmpty || stream.takenSeq === undefined)) stream.takenSeq = seq - 1;
      seen.add(stream);
    }
  }

  take(): AgedTick | undefined {
    if (this.backlog.isEmpty()) return this.#takeLive();
    if (!this.#takesTurns()) return this.#takeBacklog();
    const isLiveFirst = this.#turn === "live";
    this.#turn = isLiveFirst ? "backlog" : "live";
    if (isLiveFirst) return this.#takeLive() ?? this.#takeBacklog();
    return this.#takeBacklog() ?? this.#takeLive();
  }

  /** The next tick of the backlog, else of the live ones. */
  peek(): AgedTick | undefined {
    return this.backlog.peek() ?? this.#live[this.#index];
  }

  /** The live ticks below a position. */
  liveBelow(end: number): NumberedTick[] {
    return this.#live.slice(this.#index).filter(({ position }) => position < end);
  }

  isEmpty(): boolean {
    return this.#index === this.#live.length && this.backlog.isEmpty();
  }

  #takesTurns(): boolean {
    const { drain, uptimeMs } = this.#options;
    const next = this.backlog.peek();
    if (next === undefined || this.backlog.fragments >= maxFragments) return false;
    return drain === "newestFirst" || uptimeMs() - next.bufferedUptimeMs > lateMs;
  }

  #takeBacklog(): AgedTick | undefined {
    return this.backlog.take();
  }

  /** A number that is not durably reserved must not leave the device. */
  #takeLive(): AgedTick | undefined {
    const tick = this.#live[this.#index];
    if (tick === undefined || tick.seq > tick.stream.reserved) return undefined;
    this.#index += 1;
    this.#liveBytes -= tick.payload.length;
    if (this.#index > maxLiveTicks / 2 || this.#index === this.#live.length) {
      this.#live = this.#live.slice(this.#index);
      this.#index = 0;
    }
    this.backlog.exclude(tick.position);
    return tick;
  }
}
