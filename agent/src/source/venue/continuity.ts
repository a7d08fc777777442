/**
 * One symbol's trades, each once and in order, and a gap record wherever something is or may be missing. By the venue's
 * ids where they have no holes; elsewhere nothing is known of the time without a connection, and the record says that.
 */
import type { ReadMark } from "../source.ts";
import { RecentIds } from "./recent-ids.ts";
import { type NumberedTick, Sequence, type SequenceOptions } from "./sequence.ts";
import type { VenueTick } from "./venue.ts";

export class Continuity {
  readonly #options: SequenceOptions;
  readonly #sequence: Sequence;
  readonly #recent = new RecentIds();
  #repeated = 0;
  /** Whether the symbol was ever read; what came earlier is nobody's loss. */
  #known = false;
  /** Since when there may be trades that nobody has seen. */
  #lostFromUs: number | undefined;

  constructor(options: SequenceOptions) {
    this.#options = options;
    this.#sequence = new Sequence(options);
  }

  /** Ticks dropped because they had come before. */
  get repeated(): number {
    return this.#repeated + this.#sequence.repeated;
  }

  take(tick: VenueTick, snapshot: boolean): void {
    this.regained(tick.trade.receivedTimeUs);
    if (isNumbered(tick)) this.#sequence.take(tick, snapshot);
    else if (tick.trade.tradeId === undefined || this.#recent.add(tick.trade.tradeId)) this.#put(tick);
    else this.#repeated += 1;
  }

  /** Goes on where the symbol was read last, by a run of the agent before or before it was removed. */
  continueAfter(mark: ReadMark, countsTrades: boolean): void {
    this.#known = true;
    this.#lostFromUs = mark.receivedTimeUs;
    if (countsTrades && mark.tradeId !== undefined) this.#sequence.continueAfter(Number(mark.tradeId), mark);
  }

  get isKnown(): boolean {
    return this.#known;
  }

  /** Since when nothing more was read; undefined while it is. */
  get lostFromUs(): number | undefined {
    return this.#lostFromUs;
  }

  /** No connection has the symbol any more. */
  lost(timeUs: number): void {
    if (this.#known) this.#lostFromUs ??= timeUs;
  }

  /** The symbol is subscribed, perhaps again. */
  regained(timeUs: number): void {
    this.#known = true;
    const fromTimeUs = this.#lostFromUs;
    if (fromTimeUs === undefined) return;
    this.#lostFromUs = undefined;
    if (this.#sequence.begun) return;
    const toTimeUs = Math.max(fromTimeUs, timeUs);
    this.#options.gap({ reason: "feed", count: null, fromTimeUs, toTimeUs });
  }

  /** True when the symbol is subscribed and no id would tell of a trade that was not read. */
  get isBlind(): boolean {
    return this.#known && !this.#sequence.begun;
  }

  /** Lets out what waits behind holes. */
  settle(): void {
    this.#sequence.settle();
  }

  #put({ trade }: VenueTick): void {
    this.#options.trade(trade);
  }
}

const isNumbered = (tick: VenueTick): tick is NumberedTick => tick.ids !== undefined;
