/**
 * What leaves the buffer next. Live ticks come straight from memory; when they are not taken in time they become part of
 * the backlog, which is read from the disk.
 *
 * In order, the backlog goes first and the live ticks behind it. After an outage, that is while the next tick of the
 * backlog is older than `lateMs`, or always with `newestFirst`, live ticks and backlog take turns, so that a fresh price
 * does not wait behind old ones. Then a stream's numbers arrive out of order, but none is left out.
 */

import { Backlog, type BacklogOptions } from "./backlog.ts";
import type { AgedTick, Batch } from "./batch.ts";
import { LiveTicks } from "./live-ticks.ts";

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
  readonly #live = new LiveTicks();
  #turn: "live" | "backlog" = "live";

  constructor(options: OutletOptions) {
    this.#options = options;
    this.backlog = new Backlog(options);
  }

  /**
   * @param batch the one that has the newest tick
   * @returns false when the live ticks have become part of the backlog, so that a commit is due
   */
  put(batch: Batch): boolean {
    this.#live.put(batch);
    if (this.#live.size <= maxLiveTicks && this.#live.bytes <= maxLiveBytes) {
      if (this.#live.size === 1) this.#options.readable();
      return true;
    }
    this.#noteTaken();
    this.#live.clear();
    this.backlog.extend(batch.end);
    return false;
  }

  /** What comes before the live ticks of a stream was handed out, unless it is in the backlog. */
  #noteTaken(): void {
    const wasEmpty = this.backlog.isEmpty();
    for (const [stream, seq] of this.#live.firstSeqs())
      if (wasEmpty || stream.takenSeq === undefined) stream.takenSeq = seq - 1;
  }

  take(): AgedTick | undefined {
    if (this.backlog.isEmpty()) return this.#takeLive();
    if (!this.#takesTurns()) return this.#takeBacklog();
    const isLiveFirst = this.#turn === "live";
    this.#turn = isLiveFirst ? "backlog" : "live";
    if (isLiveFirst) return this.#takeLive() ?? this.#takeBacklog();
    return this.#takeBacklog() ?? this.#takeLive();
  }

  /** All at hand that came before. */
  takeOlder(beforeUptimeMs: number): AgedTick[] {
    const older = this.backlog.takeOlder(beforeUptimeMs);
    while ((this.#live.peek()?.bufferedUptimeMs ?? beforeUptimeMs) < beforeUptimeMs) {
      const tick = this.#takeLive();
      if (tick === undefined) break;
      older.push(tick);
    }
    return older;
  }

  /** The next tick of the backlog, else of the live ones. */
  peek(): AgedTick | undefined {
    return this.backlog.peek() ?? this.#live.peek();
  }

  /** What is in memory and is not taken yet. */
  inMemory(): AgedTick[] {
    return [...this.backlog.atHand(), ...this.#live.all()];
  }

  isEmpty(): boolean {
    return this.#live.size === 0 && this.backlog.isEmpty();
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
    const tick = this.#live.take();
    if (tick !== undefined) this.backlog.exclude(tick.position);
    return tick;
  }
}
