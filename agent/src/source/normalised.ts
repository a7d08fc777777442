/** Trades in the product's own form, one JSON object each: what any program can write without knowing a venue. */
import {
  decimalFromNumberToken,
  normaliseSymbol,
  parseJsonKeepingDigits,
  type VenueTrade,
} from "@equipoise/shared";
import { badRecord, checkedTrade, isFields, parseJson } from "./fields.ts";

/** 2000 and 2100: a time beyond them was written in another unit. */
const minTimeUs = 946_684_800_000_000;
const maxTimeUs = 4_102_444_800_000_000;

/**
 * A trade from its fields; `receivedTimeUs` is filled in where absent, numbers keep the digits they were written with.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD with the reason
 */
export function parseNormalisedTrade(line: string, receivedTimeUs: number): VenueTrade {
  return normalisedTrade(parseJson(line, parseJsonKeepingDigits), receivedTimeUs);
}

/**
 * The same of a value that {@link parseJsonKeepingDigits} gave.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD with the reason
 */
export function normalisedTrade(fields: unknown, receivedTimeUs: number): VenueTrade {
  if (!isFields(fields)) throw badRecord("a trade must be a JSON object");
  const { venue, symbol, tradeId, side } = fields;
  const trade = checkedTrade({
    venue: typeof venue === "string" ? venue.toLowerCase() : venue,
    symbol: typeof symbol === "string" ? normaliseSymbol(symbol) : symbol,
    ...(tradeId === undefined || tradeId === null ? {} : { tradeId }),
    price: decimal(fields.price),
    size: decimal(fields.size),
    side,
    exchangeTimeUs: integer(fields.exchangeTimeUs),
    receivedTimeUs: integer(fields.receivedTimeUs ?? receivedTimeUs),
  });
  const { exchangeTimeUs } = trade;
  if (exchangeTimeUs >= minTimeUs && exchangeTimeUs < maxTimeUs) return trade;
  throw badRecord(`"exchangeTimeUs" must be microseconds since 1970, which ${exchangeTimeUs} cannot be`);
}

const decimal = (value: unknown): unknown =>
  typeof value === "string" ? (decimalFromNumberToken(value) ?? value) : value;

const integer = (value: unknown): unknown =>
  typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
