/**
 * Bybit v5 spot and linear, `publicTrade`. Trade ids are UUIDs (linear) or numbers with holes (spot), and `seq` belongs
 * to the order book; so nothing tells what is missing. Every message calls itself a snapshot and is none.
 * @see https://bybit-exchange.github.io/docs/v5/websocket/public/trade
 */
import { normaliseSymbol, type Side } from "@equipoise/shared";
import {
  arrayOf,
  checkedTrade,
  type Fields,
  fieldsOf,
  integerOf,
  oneOf,
  parseJson,
  textOf,
} from "../fields.ts";
import { alive, ignored, subscribed, type Venue, type VenueMessage, type VenueTick } from "./venue.ts";

const sides: ReadonlyMap<unknown, Side> = new Map([
  ["Buy", "buy"],
  ["Sell", "sell"],
]);

function market(name: string, url: string): Venue {
  return {
    name,
    url,
    countsTrades: false,
    keepAlive: { periodMs: 20_000, text: '{"op":"ping"}' },
    staleMs: 50_000,
    subscribePauseMs: 50,
    subscribe(symbols) {
      // One symbol each: a request with a symbol that does not exist is refused as a whole. The answer has the `req_id`.
      const frames = symbols.map((symbol) => subscription(normaliseSymbol(symbol)));
      return { frames, acks: frames.length };
    },
    read: (frame, receivedTimeUs) => [message(fieldsOf(parseJson(frame)), name, receivedTimeUs)],
  };
}

export const bybitSpot = market("bybit-spot", "wss://stream.bybit.com/v5/public/spot");
export const bybitLinear = market("bybit-linear", "wss://stream.bybit.com/v5/public/linear");

function message(fields: Fields, venue: string, receivedTimeUs: number): VenueMessage {
  if (typeof fields.topic === "string" && fields.topic.startsWith("publicTrade.")) {
    const ticks = arrayOf(fields, "data").map((trade) => tick(fieldsOf(trade), venue, receivedTimeUs));
    return { kind: "ticks", ticks, snapshot: false };
  }
  if (fields.op === "ping" || fields.op === "pong") return alive;
  if (fields.op !== "subscribe") return ignored;
  if (fields.success === true) return acknowledged(fields.req_id);
  const reason = String(fields.ret_msg);
  return { kind: "refused", reason, fatal: /not found|invalid/i.test(reason) };
}

const subscription = (symbol: string): string =>
  JSON.stringify({ req_id: symbol, op: "subscribe", args: [`publicTrade.${symbol}`] });

const acknowledged = (symbol: unknown): VenueMessage =>
  typeof symbol === "string" && symbol !== "" ? { ...subscribed, symbols: [symbol] } : subscribed;

function tick(fields: Fields, venue: string, receivedTimeUs: number): VenueTick {
  const trade = checkedTrade({
    venue,
    symbol: normaliseSymbol(textOf(fields, "s")),
    tradeId: textOf(fields, "i"),
    price: fields.p,
    size: fields.v,
    side: oneOf(fields, "S", sides),
    exchangeTimeUs: integerOf(fields, "T") * 1000,
    receivedTimeUs,
  });
  return { trade };
}
