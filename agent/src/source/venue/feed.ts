/** All symbols of one venue source: each tick to its symbol's continuity. */
import { type Clock, EquipoiseError, type Missing, type VenueTrade } from "@equipoise/shared";
import type { ReadMark } from "../source.ts";
import { Continuity } from "./continuity.ts";
import type { VenueTick } from "./venue.ts";

export interface FeedOptions {
  clock: Clock;
  /** See {@link Venue}. */
  countsTrades: boolean;
  trade: (trade: VenueTrade) => void;
  gap: (symbol: string, missing: Missing) => void;
}

/** A venue may name a symbol otherwise than it was asked for; one that invents symbols must not fill the memory. */
const maxSymbols = 1_000;

export class Feed {
  readonly #options: FeedOptions;
  readonly #continuities = new Map<string, Continuity>();
  /** Of which ticks may still come, and are not wanted. */
  readonly #removed = new Set<string>();

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get repeated(): number {
    return [...this.#continuities.values()].reduce((sum, { repeated }) => sum + repeated, 0);
  }

  /** Symbols are as in topics. @param mark how far it had been read; one that is there goes on in any case */
  add(symbol: string, mark: ReadMark | undefined): void {
    this.#removed.delete(symbol);
    const isNew = !this.#continuities.has(symbol);
    const continuity = this.#of(symbol);
    if (isNew && mark !== undefined) continuity.continueAfter(mark, this.#options.countsTrades);
  }

  /** What is missing until now is told. */
  remove(symbol: string, timeUs: number): void {
    this.#removed.add(symbol);
    this.#continuities.get(symbol)?.regained(timeUs);
    this.#continuities.get(symbol)?.settle();
    this.#continuities.delete(symbol);
  }

  /** @throws EquipoiseError EQ_LIMIT_REACHED when there are too many symbols */
  take(ticks: readonly VenueTick[], snapshot: boolean): void {
    for (const tick of ticks) {
      const { symbol } = tick.trade;
      if (!this.#removed.has(symbol)) this.#of(symbol).take(tick, snapshot);
    }
  }

  lost(symbol: string, timeUs: number): void {
    this.#continuities.get(symbol)?.lost(timeUs);
  }

  regained(symbol: string, timeUs: number): void {
    this.#continuities.get(symbol)?.regained(timeUs);
  }

  /** The symbols of which no id would tell that a trade was not read. */
  blindSymbols(): string[] {
    return [...this.#continuities].filter(([, { isBlind }]) => isBlind).map(([symbol]) => symbol);
  }

  /** The symbol was subscribed once. */
  knows(symbol: string): boolean {
    return this.#continuities.get(symbol)?.isKnown ?? false;
  }

  /** The symbols that nothing more was read of, and since when. */
  *lostSymbols(): IterableIterator<readonly [symbol: string, fromUs: number]> {
    for (const [symbol, { lostFromUs }] of this.#continuities)
      if (lostFromUs !== undefined) yield [symbol, lostFromUs];
  }

  settle(): void {
    for (const continuity of this.#continuities.values()) continuity.settle();
  }

  #of(symbol: string): Continuity {
    const known = this.#continuities.get(symbol);
    if (known !== undefined) return known;
    if (this.#continuities.size >= maxSymbols) {
      throw new EquipoiseError("EQ_LIMIT_REACHED", `the venue names more than ${maxSymbols} symbols`);
    }
    const { clock, trade, gap } = this.#options;
    const continuity = new Continuity({ clock, trade, gap: (missing) => gap(symbol, missing) });
    this.#continuities.set(symbol, continuity);
    return continuity;
  }
}
