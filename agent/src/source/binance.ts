/** Trade frames of Binance's combined streams, spot and futures. */
import { EquipoiseError, normaliseSymbol, type VenueTrade } from "@equipoise/shared";
import { badRecord, checkedTrade, type Fields, fieldsOf, isFields, parseJson } from "./fields.ts";

/**
 * The trade of one frame: `{"stream":"btcusdt@trade","data":{"e":"trade","s":…,"t":…,"p":"…","q":"…","T":ms,"m":…}}`.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD with the reason
 */
export function parseBinanceFrame(frame: string, venue: string, receivedTimeUs: number): VenueTrade {
  const data = fieldsOf(fieldsOf(parseJson(frame)).data);
  if (data.e !== "trade") throw badRecord(`the frame is no trade (its event is ${JSON.stringify(data.e)})`);
  return binanceTrade(data, venue, receivedTimeUs);
}

/** Whether a frame can be read and is no trade: nothing is missing without it. */
export function isOfAnotherKind(frame: string): boolean {
  try {
    const whole = parseJson(frame);
    return isFields(whole) && fieldsOf(whole.data).e !== "trade";
  } catch (error) {
    if (error instanceof EquipoiseError) return false;
    throw error;
  }
}

/**
 * The trade of an event's data. Binance sends price and quantity as JSON strings, so the digits are the venue's own.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD with the reason
 */
export function binanceTrade(data: Fields, venue: string, receivedTimeUs: number): VenueTrade {
  const { s, t, p, q, T, m } = data;
  if (typeof s !== "string") throw badRecord(`"s" must be the symbol, not ${JSON.stringify(s)}`);
  if (!Number.isSafeInteger(t)) throw badRecord(`"t" must be the trade id, not ${JSON.stringify(t)}`);
  if (!Number.isSafeInteger(T)) throw badRecord(`"T" must be the time in ms, not ${JSON.stringify(T)}`);
  if (typeof m !== "boolean") throw badRecord(`"m" must be true or false, not ${JSON.stringify(m)}`);
  return checkedTrade({
    venue,
    symbol: normaliseSymbol(s),
    tradeId: String(t),
    price: p,
    size: q,
    // m: the buyer is the maker, so the taker sold.
    side: m ? "sell" : "buy",
    exchangeTimeUs: (T as number) * 1000,
    receivedTimeUs,
  });
}
