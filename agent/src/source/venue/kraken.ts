/**
 * Kraken, `trade` of WebSocket v2: prices are JSON numbers, whose digits are kept; `trade_id` counts per book without
 * holes; the snapshot has the last 50 trades. The arrays of v1 are read as well: they have texts, and no ids.
 * @see https://docs.kraken.com/api/docs/websocket-v2/trade
 */
import {
  decimalFromNumberToken,
  normaliseSymbol,
  parseJsonKeepingDigits,
  type Side,
} from "@equipoise/shared";
import {
  arrayOf,
  badRecord,
  checkedTrade,
  type Fields,
  fieldsOf,
  integerOf,
  isoTimeUsOf,
  oneOf,
  parseJson,
  secondsTimeUs,
  textOf,
} from "../fields.ts";
import {
  alive,
  batches,
  ignored,
  oldestFirst,
  subscribed,
  type Venue,
  type VenueMessage,
  type VenueTick,
} from "./venue.ts";

const name = "kraken";
const symbolsPerFrame = 50;
const sides: ReadonlyMap<unknown, Side> = new Map([
  ["buy", "buy"],
  ["sell", "sell"],
  ["b", "buy"],
  ["s", "sell"],
]);

export const kraken: Venue = {
  name,
  countsTrades: true,
  url: "wss://ws.kraken.com/v2",
  keepAlive: { periodMs: 30_000, text: '{"method":"ping"}' },
  // Its heartbeats come every second.
  staleMs: 15_000,
  subscribePauseMs: 200,
  subscribe(symbols) {
    const frames = batches(symbols, symbolsPerFrame).map((part) => {
      const symbol = part.map((text) => text.replaceAll("-", "/"));
      return JSON.stringify({ method: "subscribe", params: { channel: "trade", symbol, snapshot: true } });
    });
    // One answer for each symbol.
    return { frames, acks: symbols.length };
  },
  read(frame, receivedTimeUs) {
    const value = parseJson(frame, parseJsonKeepingDigits);
    return [
      Array.isArray(value) ? ticksOfV1(value, receivedTimeUs) : message(fieldsOf(value), receivedTimeUs),
    ];
  },
};

function message(fields: Fields, receivedTimeUs: number): VenueMessage {
  if (fields.channel === "trade") return ticks(fields, receivedTimeUs);
  if (fields.channel === "heartbeat" || fields.method === "pong") return alive;
  // Of v1.
  if (fields.event === "heartbeat" || fields.event === "pong") return alive;
  if (fields.event === "subscriptionStatus")
    return acknowledged(fields.status === "subscribed", fields.errorMessage);
  if (fields.method === "subscribe")
    return acknowledged(fields.success === true, fields.error, fieldsOf(fields.result).symbol);
  return ignored;
}

function acknowledged(success: boolean, error: unknown, symbol?: unknown): VenueMessage {
  if (success)
    return typeof symbol === "string" ? { ...subscribed, symbols: [normaliseSymbol(symbol)] } : subscribed;
  const reason = String(error);
  return { kind: "refused", reason, fatal: /not supported|invalid/i.test(reason) };
}

function ticks(fields: Fields, receivedTimeUs: number): VenueMessage {
  const trades = arrayOf(fields, "data").map((trade) => tick(fieldsOf(trade), receivedTimeUs));
  return { kind: "ticks", ticks: oldestFirst(trades), snapshot: fields.type === "snapshot" };
}

function tick(fields: Fields, receivedTimeUs: number): VenueTick {
  const id = integerOf(fields, "trade_id");
  const trade = checkedTrade({
    venue: name,
    symbol: normaliseSymbol(textOf(fields, "symbol")),
    tradeId: String(id),
    price: decimalFromNumberToken(textOf(fields, "price")),
    size: decimalFromNumberToken(textOf(fields, "qty")),
    side: oneOf(fields, "side", sides),
    exchangeTimeUs: isoTimeUsOf(fields, "timestamp"),
    receivedTimeUs,
  });
  return { trade, ids: { first: id, last: id } };
}

/** `[channelID, [[price, volume, time, side, orderType, misc], …], "trade", pair]` */
function ticksOfV1([, trades, channel, pair]: readonly unknown[], receivedTimeUs: number): VenueMessage {
  if (channel !== "trade") return ignored;
  if (!Array.isArray(trades) || typeof pair !== "string") throw badRecord("the array is no trade of v1");
  return {
    kind: "ticks",
    ticks: trades.map((trade) => tickOfV1(trade, pair, receivedTimeUs)),
    snapshot: false,
  };
}

function tickOfV1(value: unknown, pair: string, receivedTimeUs: number): VenueTick {
  if (!Array.isArray(value)) throw badRecord("a trade of v1 must be an array");
  const [price, size, time, side] = value;
  const trade = checkedTrade({
    venue: name,
    symbol: normaliseSymbol(pair),
    price,
    size,
    side: oneOf({ side }, "side", sides),
    exchangeTimeUs: secondsTimeUs(time),
    receivedTimeUs,
  });
  return { trade };
}
