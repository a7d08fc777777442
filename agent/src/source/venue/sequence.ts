/**
 * Order by the venue's own ids, for a symbol whose trades it counts without holes. What comes twice is dropped. What
 * follows a hole waits a moment, for another connection or a snapshot to close it; then the hole becomes a gap record.
 *
 * Bounded: at most `maxHeldTicks` wait, and none longer than `holeWaitMs`; at either bound the holes are given up.
 */
import { afterListening, type Clock, type Missing, type VenueTrade } from "@equipoise/shared";
import type { ReadMark } from "../source.ts";
import type { IdRange, VenueTick } from "./venue.ts";

export interface SequenceOptions {
  clock: Clock;
  trade: (trade: VenueTrade) => void;
  gap: (missing: Missing) => void;
}

export type NumberedTick = VenueTick & { ids: IdRange };

export const holeWaitMs = 1_000;
const maxHeldTicks = 4_096;
/** A lower id on a trade this much newer than all before: the venue has begun to count anew. */
const anewAfterUs = 1_000_000;

export class Sequence {
  /** Ticks dropped because they had come before. */
  repeated = 0;
  readonly #options: SequenceOptions;
  /** By first id; they follow a hole. */
  readonly #held = new Map<number, NumberedTick>();
  /** The id that comes next; undefined before the first tick. */
  #next: number | undefined;
  #newestTimeUs = 0;
  /** What follows the newest may have been taken and forgotten, so not all of a hole there is missing. */
  #uncertain = false;
  #cancelWait: (() => void) | undefined;

  constructor(options: SequenceOptions) {
    this.#options = options;
  }

  /** True when the ids will tell what is missing. */
  get begun(): boolean {
    return this.#next !== undefined;
  }

  /** Goes on behind a trade of the time before. */
  continueAfter(id: number, { exchangeTimeUs, uncertain }: ReadMark): void {
    this.#next = id + 1;
    this.#newestTimeUs = exchangeTimeUs;
    this.#uncertain = uncertain === true;
  }

  /** @param snapshot whether the tick belongs to what was before the subscription */
  take(tick: NumberedTick, snapshot: boolean): void {
    const { first, last } = tick.ids;
    const next = this.#next ?? first;
    if (last < next) this.#old(tick, snapshot);
    else if (first <= next) this.#go(tick);
    else this.#hold(tick);
  }

  /** Gives up all holes: what is held goes out, with gap records for what is missing. */
  settle(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    const held = [...this.#held.values()].sort((a, b) => a.ids.first - b.ids.first);
    this.#held.clear();
    for (const tick of held) {
      const next = this.#next ?? tick.ids.first;
      if (tick.ids.last < next) this.repeated += 1;
      if (tick.ids.last < next) continue;
      if (tick.ids.first > next) this.#gap(next, tick);
      this.#put(tick);
    }
  }

  #old(tick: NumberedTick, snapshot: boolean): void {
    const toTimeUs = tick.trade.exchangeTimeUs;
    if (snapshot || toTimeUs <= this.#newestTimeUs + anewAfterUs) {
      this.repeated += 1;
      return;
    }
    this.settle();
    this.#options.gap({ reason: "feed", count: null, fromTimeUs: this.#newestTimeUs, toTimeUs });
    this.#put(tick);
  }

  #go(tick: NumberedTick): void {
    this.#put(tick);
    if (this.#held.size === 0) return;
    for (let held = this.#following(); held !== undefined; held = this.#following()) this.#put(held);
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    if (this.#held.size > 0) this.#wait();
  }

  /** The held tick that comes next, taken out. */
  #following(): NumberedTick | undefined {
    const next = this.#next ?? 0;
    const tick = this.#held.get(next);
    this.#held.delete(next);
    return tick;
  }

  #hold(tick: NumberedTick): void {
    if (this.#held.has(tick.ids.first)) this.repeated += 1;
    else this.#held.set(tick.ids.first, tick);
    if (this.#held.size >= maxHeldTicks) this.settle();
    else if (this.#cancelWait === undefined) this.#wait();
  }

  #wait(): void {
    this.#cancelWait = afterListening(this.#options.clock, holeWaitMs, () => this.settle());
  }

  #put({ trade, ids, blank }: NumberedTick): void {
    this.#next = ids.last + 1;
    this.#uncertain = false;
    this.#newestTimeUs = Math.max(this.#newestTimeUs, trade.exchangeTimeUs);
    if (blank !== true) this.#options.trade(trade);
  }

  #gap(next: number, { ids, trade }: NumberedTick): void {
    const times = [this.#newestTimeUs, trade.exchangeTimeUs];
    this.#options.gap({
      reason: "feed",
      count: this.#uncertain ? null : ids.first - next,
      fromTradeId: String(next),
      toTradeId: String(ids.first - 1),
      fromTimeUs: Math.min(...times),
      toTimeUs: Math.max(...times),
    });
  }
}
