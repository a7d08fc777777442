/** Trades as a venue makes them: near the last price, of any size, at uneven times. About 200 bytes as a record. */
import type { VenueTrade } from "@equipoise/shared";

export function venueTrade(n: number, timeMs: number): VenueTrade {
  const timeUs = Math.floor(timeMs * 1_000);
  return {
    venue: "binance",
    symbol: "BTCUSDT",
    tradeId: String(3_735_683_259 + n),
    price: (61_837 + Math.sin(n / 1_000) * 50 + Math.random()).toFixed(2),
    size: (Math.random() ** 4).toFixed(5),
    side: Math.random() < 0.5 ? "buy" : "sell",
    exchangeTimeUs: timeUs - Math.floor(Math.random() * 30_000),
    receivedTimeUs: timeUs,
  };
}
