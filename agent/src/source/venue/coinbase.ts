/**
 * Coinbase Advanced Trade, `market_trades`. Trades come newest first, snapshots and updates alike, with the maker's
 * side; trade ids count per product without holes. Channels without updates are closed unless `heartbeats` is
 * subscribed, which comes every second.
 * @see https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
 */
import { normaliseSymbol, type Side } from "@equipoise/shared";
import {
  arrayOf,
  checkedTrade,
  type Fields,
  fieldsOf,
  integerOf,
  isoTimeUsOf,
  oneOf,
  parseJson,
  textOf,
} from "../fields.ts";
import {
  alive,
  ignored,
  oldestFirst,
  subscribed,
  type Venue,
  type VenueMessage,
  type VenueTick,
} from "./venue.ts";

const name = "coinbase";
const heartbeats = JSON.stringify({ type: "subscribe", channel: "heartbeats" });
/** The taker's side by the maker's. */
const sides: ReadonlyMap<unknown, Side> = new Map([
  ["BUY", "sell"],
  ["SELL", "buy"],
]);

export const coinbase: Venue = {
  name,
  countsTrades: true,
  url: "wss://advanced-trade-ws.coinbase.com",
  staleMs: 15_000,
  // Eight messages a second at most.
  subscribePauseMs: 200,
  subscribe(symbols) {
    // One product each: a request with a product that does not exist is refused as a whole.
    const frames = symbols.map((symbol) =>
      JSON.stringify({ type: "subscribe", product_ids: [normaliseSymbol(symbol)], channel: "market_trades" }),
    );
    return { frames: [...frames, heartbeats], acks: frames.length };
  },
  read(frame, receivedTimeUs) {
    const fields = fieldsOf(parseJson(frame));
    if (fields.channel === "market_trades") {
      return arrayOf(fields, "events").map((event) => ticks(fieldsOf(event), receivedTimeUs));
    }
    if (fields.channel === "heartbeats") return [alive];
    if (fields.channel === "subscriptions") return [acknowledged(fields)];
    if (fields.type !== "error") return [ignored];
    const reason = String(fields.message);
    return [{ kind: "refused", reason, fatal: /product|failed to subscribe/i.test(reason) }];
  },
};

/** It names all that are in force by now. */
function acknowledged(fields: Fields): VenueMessage {
  const [event] = arrayOf(fields, "events");
  const { market_trades: products } = fieldsOf(fieldsOf(event).subscriptions);
  if (!Array.isArray(products)) return subscribed;
  return { ...subscribed, symbols: products.map((product) => normaliseSymbol(String(product))) };
}

function ticks(event: Fields, receivedTimeUs: number): VenueMessage {
  const trades = arrayOf(event, "trades").map((trade) => tick(fieldsOf(trade), receivedTimeUs));
  return { kind: "ticks", ticks: oldestFirst(trades), snapshot: event.type === "snapshot" };
}

function tick(fields: Fields, receivedTimeUs: number): VenueTick {
  const id = integerOf(fields, "trade_id");
  const trade = checkedTrade({
    venue: name,
    symbol: normaliseSymbol(textOf(fields, "product_id")),
    tradeId: String(id),
    price: fields.price,
    size: fields.size,
    side: oneOf(fields, "side", sides),
    exchangeTimeUs: isoTimeUsOf(fields, "time"),
    receivedTimeUs,
  });
  return { trade, ids: { first: id, last: id } };
}
