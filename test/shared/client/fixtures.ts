import { encodeRecord, type Gap, type Trade } from "@equipoise/shared";

export const topic = "ticks/binance/BTCUSDT/pi-7";

export function trade(seq: number, changes: Partial<Trade> = {}): Trade {
  return {
    type: "trade",
    venue: "binance",
    symbol: "BTCUSDT",
    price: "61837.63000000",
    size: "0.02000000",
    side: "sell",
    exchangeTimeUs: 1_723_161_255_342_000,
    receivedTimeUs: 1_723_161_254_087_896,
    agent: "pi-7",
    epoch: "01J",
    seq,
    ...changes,
  };
}

export function gap(seq: number, changes: Partial<Gap> = {}): Gap {
  return { type: "gap", reason: "evicted", count: null, agent: "pi-7", epoch: "01J", seq, ...changes };
}

export const tradeJson = (seq: number, changes: Partial<Trade> = {}): string =>
  encodeRecord(trade(seq, changes));

/** A promise that the test settles. */
export function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  return Promise.withResolvers<void>();
}
