/**
 * Bitstamp, `live_trades_{market}`. Prices and amounts are floats beside their digits as text (`price_str`); trade ids
 * rise over all markets, so within one they have holes.
 * @see https://www.bitstamp.net/websocket/v2/
 */
import { normaliseSymbol, type Side } from "@equipoise/shared";
import { checkedTrade, type Fields, fieldsOf, integerOf, oneOf, parseJson, textOf } from "../fields.ts";
import { alive, ignored, type Venue, type VenueMessage, type VenueTick } from "./venue.ts";

const name = "bitstamp";
const channelPrefix = "live_trades_";
const sides: ReadonlyMap<unknown, Side> = new Map([
  [0, "buy"],
  [1, "sell"],
]);

/** Markets have one writing only. */
const marketOf = (symbol: string): string => symbol.toUpperCase().replaceAll(/[-/]/g, "");

export const bitstamp: Venue = {
  name,
  countsTrades: false,
  url: "wss://ws.bitstamp.net",
  keepAlive: { periodMs: 20_000, text: '{"event":"bts:heartbeat"}' },
  staleMs: 50_000,
  subscribePauseMs: 100,
  symbolOf: marketOf,
  subscribe(symbols) {
    const frames = symbols.map((symbol) => {
      const channel = channelPrefix + marketOf(symbol).toLowerCase();
      return JSON.stringify({ event: "bts:subscribe", data: { channel } });
    });
    return { frames, acks: frames.length };
  },
  read(frame, receivedTimeUs) {
    const fields = fieldsOf(parseJson(frame));
    const { event, channel } = fields;
    const ofTrades = typeof channel === "string" && channel.startsWith(channelPrefix);
    if (event === "trade" && ofTrades) {
      return [{ kind: "ticks", ticks: [tick(fields, receivedTimeUs)], snapshot: false }];
    }
    if (event === "bts:subscription_succeeded") return [ofTrades ? subscribed(channel) : ignored];
    if (event === "bts:heartbeat") return [alive];
    if (event === "bts:request_reconnect") return [{ kind: "reconnect", reason: event }];
    if (event !== "bts:error") return [ignored];
    const reason = String(fieldsOf(fields.data).message);
    return [{ kind: "refused", reason, fatal: /subscription/i.test(reason) }];
  },
};

const subscribed = (channel: string): VenueMessage => ({ kind: "subscribed", symbols: [symbolOf(channel)] });

const symbolOf = (channel: string): string => normaliseSymbol(channel.slice(channelPrefix.length));

function tick(frame: Fields, receivedTimeUs: number): VenueTick {
  const data = fieldsOf(frame.data);
  const trade = checkedTrade({
    venue: name,
    symbol: symbolOf(textOf(frame, "channel")),
    tradeId: String(integerOf(data, "id")),
    price: data.price_str,
    size: data.amount_str,
    side: oneOf(data, "type", sides),
    exchangeTimeUs: integerOf(data, "microtimestamp"),
    receivedTimeUs,
  });
  return { trade };
}
