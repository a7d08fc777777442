/** All symbols of one venue source: each tick to its symbol's continuity. */
import {
  type Clock,
  EquipoiseError,
  type Missing,
  normaliseSymbol,
  type VenueTrade,
} from "@equipoise/shared";
import { Continuity } from "./continuity.ts";
import type { VenueTick } from "./venue.ts";

export interface FeedOptions {
  clock: Clock;
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

  constructor(symbols: readonly string[], options: FeedOptions) {
    this.#options = options;
    for (const symbol of symbols) this.#of(normaliseSymbol(symbol));
  }

  get repeated(): number {
    return [...this.#continuities.values()].reduce((sum, { repeated }) => sum + repeated, 0);
  }

  add(symbol: string): void {
    this.#removed.delete(normaliseSymbol(symbol));
    this.#of(normaliseSymbol(symbol));
  }

  remove(symbol: string): void {
    const name = normaliseSymbol(symbol);
    this.#removed.add(name);
    this.#continuities.get(name)?.settle();
    this.#continuities.delete(name);
  }

  /** @throws EquipoiseError EQ_LIMIT_REACHED when there are too many symbols */
  take(ticks: readonly VenueTick[], snapshot: boolean): void {
    for (const tick of ticks) {
      const { symbol } = tick.trade;
      if (!this.#removed.has(symbol)) this.#of(symbol).take(tick, snapshot);
    }
  }

  lost(timeUs: number): void {
    for (const continuity of this.#continuities.values()) continuity.lost(timeUs);
  }

  regained(timeUs: number): void {
    for (const continuity of this.#continuities.values()) continuity.regained(timeUs);
  }

  /** The symbols of which no id would tell that a trade was not read. */
  blindSymbols(): string[] {
    return [...this.#continuities].filter(([, { isBlind }]) => isBlind).map(([symbol]) => symbol);
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
