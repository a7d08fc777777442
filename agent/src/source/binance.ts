/** Trade frames of Binance's combined streams, spot and futures. */
import {
  EquipoiseError,
  normaliseSymbol,
  reasonOf,
  type VenueTrade,
  venueTradeFault,
} from "@equipoise/shared";

interface Frame {
  data?: {
    e?: unknown;
    s?: unknown;
    t?: unknown;
    p?: unknown;
    q?: unknown;
    T?: unknown;
    m?: unknown;
  };
}

/**
 * The trade of one frame: `{"stream":"btcusdt@trade","data":{"e":"trade","s":…,"t":…,"p":"…","q":"…","T":ms,"m":…}}`.
 * Binance sends price and quantity as JSON strings, so the digits are the venue's own.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD with the reason
 */
export function parseBinanceFrame(frame: string, venue: string, receivedTimeUs: number): VenueTrade {
  const data = parse(frame)?.data;
  if (data?.e !== "trade") throw bad(`the frame is no trade (its event is ${JSON.stringify(data?.e)})`);
  const { s, t, p, q, T, m } = data;
  if (typeof s !== "string") throw bad(`"s" must be the symbol, not ${JSON.stringify(s)}`);
  if (!Number.isSafeInteger(t)) throw bad(`"t" must be the trade id, not ${JSON.stringify(t)}`);
  if (!Number.isSafeInteger(T)) throw bad(`"T" must be the time in ms, not ${JSON.stringify(T)}`);
  if (typeof m !== "boolean") throw bad(`"m" must be true or false, not ${JSON.stringify(m)}`);
  const trade: VenueTrade = {
    venue,
    symbol: normaliseSymbol(s),
    tradeId: String(t),
    price: p as string,
    size: q as string,
    // m: the buyer is the maker, so the taker sold.
    side: m ? "sell" : "buy",
    exchangeTimeUs: (T as number) * 1000,
    receivedTimeUs,
  };
  const fault = venueTradeFault(trade);
  if (fault !== undefined) throw bad(fault);
  return trade;
}

function parse(frame: string): Frame | null {
  try {
    return JSON.parse(frame);
  } catch (error) {
    throw bad(`not JSON: ${reasonOf(error)}`);
  }
}

const bad = (reason: string): EquipoiseError => new EquipoiseError("EQ_SOURCE_BAD_RECORD", reason);
