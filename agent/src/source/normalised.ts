/** Trades in the product's own form, one JSON object a line: what any program can write without knowing a venue. */
import {
  decimalFromNumberToken,
  EquipoiseError,
  normaliseSymbol,
  parseJsonKeepingDigits,
  reasonOf,
  type VenueTrade,
  venueTradeFault,
} from "@equipoise/shared";

/**
 * A trade from its fields; `receivedTimeUs` is filled in where absent, numbers keep the digits they were written with.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD with the reason
 */
export function parseNormalisedTrade(line: string, receivedTimeUs: number): VenueTrade {
  const fields = parse(line);
  const { venue, symbol, tradeId, side } = fields;
  const trade = {
    venue: typeof venue === "string" ? venue.toLowerCase() : venue,
    symbol: typeof symbol === "string" ? normaliseSymbol(symbol) : symbol,
    ...(tradeId === undefined || tradeId === null ? {} : { tradeId }),
    price: decimal(fields.price),
    size: decimal(fields.size),
    side,
    exchangeTimeUs: integer(fields.exchangeTimeUs),
    receivedTimeUs: integer(fields.receivedTimeUs ?? receivedTimeUs),
  };
  const fault = venueTradeFault(trade);
  if (fault !== undefined) throw bad(fault);
  return trade as VenueTrade;
}

function parse(line: string): Record<string, unknown> {
  try {
    const value = parseJsonKeepingDigits(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch (error) {
    throw bad(`not JSON: ${reasonOf(error)}`);
  }
  throw bad("a trade must be a JSON object");
}

const decimal = (value: unknown): unknown =>
  typeof value === "string" ? (decimalFromNumberToken(value) ?? value) : value;

const integer = (value: unknown): unknown =>
  typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;

const bad = (reason: string): EquipoiseError => new EquipoiseError("EQ_SOURCE_BAD_RECORD", reason);
