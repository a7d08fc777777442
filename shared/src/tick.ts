/**
 * The records of a stream: trades, and gap records that say what is missing. Prices and sizes are the venue's own
 * decimal digits, never a float. Times are integer microseconds since 1970.
 */
import { isDecimal } from "./decimal.ts";
import { limits } from "./limits.ts";

export type Side = "buy" | "sell" | "unknown";
export type GapReason = "feed" | "evicted" | "corrupt" | "crash";

/** What a venue reports: a trade before an agent has numbered it. */
export interface VenueTrade {
  /** Lower case, one per market: `binance`, `binance-usdm`, … */
  venue: string;
  /** The venue's own symbol, upper case, `/` written as `-`. */
  symbol: string;
  /** The venue's trade id; absent where it has none. */
  tradeId?: string;
  /** Decimal digits as the venue sent them. */
  price: string;
  /** Decimal digits as the venue sent them. */
  size: string;
  /** The taker's side. */
  side: Side;
  /** The venue's time of the trade. */
  exchangeTimeUs: number;
  /** The agent's wall clock when the trade arrived. */
  receivedTimeUs: number;
}

/** A record's place in its stream. `seq` counts from 1 without holes per stream and epoch. */
export interface Sequenced {
  agent: string;
  /** Sortable; changes whenever an agent cannot prove that it continues its last sequence. */
  epoch: string;
  seq: number;
}

export interface Trade extends VenueTrade, Sequenced {
  type: "trade";
}

/** What is missing from a stream. */
export interface Missing {
  reason: GapReason;
  /** How many ticks are missing; null where unknown. */
  count: number | null;
  /** Whose numbers `fromSeq` and `toSeq` are, when they are not of the record's own epoch. */
  ofEpoch?: string;
  fromSeq?: number;
  toSeq?: number;
  fromTradeId?: string;
  toTradeId?: string;
  fromTimeUs?: number;
  toTimeUs?: number;
}

export interface Gap extends Sequenced, Missing {
  type: "gap";
}

/** What a source knows to be missing: a gap before an agent has numbered it. */
export interface VenueGap extends Missing {
  venue: string;
  symbol: string;
}

export type TickRecord = Trade | Gap;

/** One record as JSON, with the fields in the documented order. */
export function encodeRecord(record: TickRecord): string {
  return record.type === "trade" ? encodeTrade(record, record) : JSON.stringify(inGapOrder(record));
}

/** A trade and its place in its stream as {@link encodeRecord} has them, without an object of both. */
export function encodeTrade(trade: VenueTrade, { agent, epoch, seq }: Sequenced): string {
  const { venue, symbol, tradeId, price, size, side, exchangeTimeUs, receivedTimeUs } = trade;
  return JSON.stringify({
    type: "trade",
    venue,
    symbol,
    tradeId, // left out where it is undefined
    price,
    size,
    side,
    exchangeTimeUs,
    receivedTimeUs,
    agent,
    epoch,
    seq,
  });
}

function inGapOrder(gap: Gap): Gap {
  const { type, reason, count, agent, epoch, seq, ...range } = gap;
  return { type, reason, count, ...range, agent, epoch, seq };
}

/** True for the encoded form of a gap record, without decoding it. */
export function isEncodedGap(payload: string): boolean {
  return payload.startsWith('{"type":"gap"');
}

/** The number of an encoded record, without decoding it: `seq` is its last field. @throws Error when it has none */
export function seqOfEncoded(payload: string): number {
  const digits = /"seq":(\d+)\}$/.exec(payload)?.[1];
  if (digits === undefined) throw new Error(`a record without its sequence: ${payload.slice(0, 80)}`);
  return Number(digits);
}

type Fields = Readonly<Record<string, unknown>>;

/** What is wrong with a value as a record, or `undefined` when it is one. */
export function recordFault(value: unknown): string | undefined {
  if (!isFields(value)) return "a record must be a JSON object";
  if (value.type === "trade") return venueTradeFault(value) ?? sequencedFault(value);
  if (value.type === "gap") return gapFault(value) ?? sequencedFault(value);
  return `"type" must be "trade" or "gap", not ${show(value.type)}`;
}

/** What is wrong with a value as a trade that has not been numbered yet, or `undefined`. */
export function venueTradeFault(value: unknown): string | undefined {
  if (!isFields(value)) return "a trade must be a JSON object";
  return (
    must(value, "venue", isId, "a short non-empty string") ??
    must(value, "symbol", isId, "a short non-empty string") ??
    may(value, "tradeId", isId, "a short non-empty string") ??
    must(value, "price", isDecimal, "a decimal string") ??
    must(value, "size", isDecimal, "a decimal string") ??
    must(value, "side", isSide, "buy, sell or unknown") ??
    must(value, "exchangeTimeUs", isCount, "integer microseconds") ??
    must(value, "receivedTimeUs", isCount, "integer microseconds")
  );
}

function sequencedFault(value: Fields): string | undefined {
  return (
    must(value, "agent", isId, "a short non-empty string") ??
    must(value, "epoch", isId, "a short non-empty string") ??
    must(value, "seq", isPositive, "an integer from 1")
  );
}

function gapFault(value: Fields): string | undefined {
  return (
    must(value, "reason", isReason, "feed, evicted, corrupt or crash") ??
    must(value, "count", isCountOrNull, "an integer or null") ??
    may(value, "ofEpoch", isId, "a short non-empty string") ??
    may(value, "fromSeq", isPositive, "an integer from 1") ??
    may(value, "toSeq", isPositive, "an integer from 1") ??
    may(value, "fromTradeId", isId, "a short non-empty string") ??
    may(value, "toTradeId", isId, "a short non-empty string") ??
    may(value, "fromTimeUs", isCount, "integer microseconds") ??
    may(value, "toTimeUs", isCount, "integer microseconds")
  );
}

type Check = (value: unknown) => boolean;

function must(fields: Fields, name: string, check: Check, form: string): string | undefined {
  return check(fields[name]) ? undefined : `"${name}" must be ${form}, not ${show(fields[name])}`;
}

function may(fields: Fields, name: string, check: Check, form: string): string | undefined {
  return fields[name] === undefined ? undefined : must(fields, name, check, form);
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isId: Check = (value) =>
  typeof value === "string" && value.length > 0 && value.length <= limits.maxIdLength;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isPositive: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0;
const isCountOrNull: Check = (value) => value === null || isCount(value);
const isSide: Check = (value) => value === "buy" || value === "sell" || value === "unknown";
const isReason: Check = (value) =>
  value === "feed" || value === "evicted" || value === "corrupt" || value === "crash";

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
