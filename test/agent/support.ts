/** What the agent's tests share: an exact clock, a log that can be read, trades. */
import {
  type Clock,
  createLogger,
  decodePayload,
  type Logger,
  type Trade,
  type VenueTrade,
} from "@equipoise/shared";
import { type Line, type Program, startProgram } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";

/** Until a tick has waited so long, order goes before freshness; see the buffer's outlet. */
const lateMs = 10_000;

export { until } from "../support/time.ts";

/** A clock that moves only when told. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #stepMs = 0;
  readonly #timers = new Set<{ dueMs: number; periodMs: number | undefined; callback: () => void }>();

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs + this.#stepMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#add({ dueMs: this.#nowMs + delayMs, periodMs: undefined, callback });
  }

  every(periodMs: number, callback: () => void): () => void {
    return this.#add({ dueMs: this.#nowMs + periodMs, periodMs, callback });
  }

  /** When the next timer is due, counted from now; undefined without one. */
  get nextMs(): number | undefined {
    if (this.#timers.size === 0) return undefined;
    return Math.min(...[...this.#timers].map(({ dueMs }) => dueMs)) - this.#nowMs;
  }

  /** Sets the wall clock forward or back, and nothing else. */
  step(byMs: number): void {
    this.#stepMs += byMs;
  }

  advance(byMs: number): void {
    this.#nowMs += byMs;
    for (const timer of [...this.#timers]) {
      if (timer.dueMs > this.#nowMs) continue;
      if (timer.periodMs === undefined) this.#timers.delete(timer);
      else timer.dueMs += timer.periodMs;
      timer.callback();
    }
  }

  #add(timer: { dueMs: number; periodMs: number | undefined; callback: () => void }): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}

export interface LogLine {
  event?: string;
  [field: string]: unknown;
}

/** A logger and the lines it has written. */
export function recordedLog(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const stream = { write: (text: string) => void lines.push(JSON.parse(text)) };
  return { logger: createLogger({ name: "test", level: "debug", stream }), lines };
}

export function trade(n: number, symbol = "BTCUSDT"): VenueTrade {
  return {
    venue: "binance",
    symbol,
    tradeId: String(n),
    price: `61837.${String(n).padStart(8, "0")}`,
    size: "0.02000000",
    side: "sell",
    exchangeTimeUs: 1_723_161_255_342_000 + n,
    receivedTimeUs: 1_723_161_254_087_896 + n,
  };
}

/** One that compresses badly, so that a bound in bytes is reached soon. */
export function noisyTrade(n: number, symbol?: string): VenueTrade {
  const digits = (): string => Math.random().toFixed(16).slice(2);
  const noise = (): string => `1.${digits()}${digits()}${digits()}`;
  return { ...trade(n, symbol), price: noise(), size: noise() };
}

/** A trade as a line for `stdin:`. */
export const tradeLine = (n: number, symbol?: string): string => `${JSON.stringify(trade(n, symbol))}\n`;

export const tradeOf = (payload: string | Buffer): Trade => decodePayload(Buffer.from(payload))[0] as Trade;

export const counting = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);

/** Numbers as they came from an agent that ran so long; sorted where ticks may have waited for so long that fresh ones took turns with them. */
export const asOwed = (seqs: readonly number[], { durationMs }: Line): readonly number[] =>
  Number(durationMs) < lateMs ? seqs : seqs.toSorted((a, b) => a - b);

/** A broker's address where nothing listens. */
export const nowhere = "mqtt://127.0.0.1:1";

export function startAgent(t: Teardown, dataDir: string, broker: string, ...args: string[]): Program {
  const own = [
    "--agent-id",
    "pi-7",
    "--data-dir",
    dataDir,
    "--broker",
    broker,
    "--progress-period-ms",
    "1000",
  ];
  return startProgram(t, "agent", [...own, ...args]);
}
