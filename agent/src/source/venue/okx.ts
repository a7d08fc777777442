/**
 * OKX, `trades-all`: one trade a message. Frames of `trades` are read as well: there, one may stand for `count` trades
 * and goes under the id of the last. Trade ids count per instrument without holes.
 * @see https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-all-trades-channel
 */
import { normaliseSymbol, type Side } from "@equipoise/shared";
import {
  arrayOf,
  badRecord,
  checkedTrade,
  type Fields,
  fieldsOf,
  integerOf,
  oneOf,
  parseJson,
  textOf,
} from "../fields.ts";
import { alive, batches, ignored, type Venue, type VenueMessage, type VenueTick } from "./venue.ts";

const name = "okx";
const symbolsPerFrame = 100;
/** The connection will be closed for an upgrade of the service. */
const upgradeNotice = "64008";
/** The instrument does not exist, the request is not understood. */
const fatalErrors: readonly unknown[] = ["60012", "60018"];
const sides: ReadonlyMap<unknown, Side> = new Map([
  ["buy", "buy"],
  ["sell", "sell"],
]);

export const okx: Venue = {
  name,
  countsTrades: true,
  url: "wss://ws.okx.com:8443/ws/v5/business",
  // It closes a connection that was silent for 30 s.
  keepAlive: { periodMs: 20_000, text: "ping" },
  staleMs: 50_000,
  // Three requests a second at most.
  subscribePauseMs: 400,
  subscribe(symbols) {
    const frames = batches(symbols, symbolsPerFrame).map((part) => {
      const args = part.map((symbol) => ({ channel: "trades-all", instId: normaliseSymbol(symbol) }));
      return JSON.stringify({ op: "subscribe", args });
    });
    // One answer for each instrument.
    return { frames, acks: symbols.length };
  },
  read(frame, receivedTimeUs) {
    if (frame === "pong") return [alive];
    return [message(fieldsOf(parseJson(frame)), receivedTimeUs)];
  },
};

function message(fields: Fields, receivedTimeUs: number): VenueMessage {
  const { channel, instId } = fieldsOf(fields.arg);
  const ofTrades = channel === "trades-all" || channel === "trades";
  if (fields.event === "subscribe")
    return ofTrades ? { kind: "subscribed", symbols: [normaliseSymbol(String(instId))] } : ignored;
  if (fields.event === "error") {
    const reason = `${fields.msg} (${fields.code})`;
    return { kind: "refused", reason, fatal: fatalErrors.includes(fields.code) };
  }
  if (fields.event === "notice" && fields.code === upgradeNotice) {
    return { kind: "reconnect", reason: `notice ${upgradeNotice}` };
  }
  if (!ofTrades || fields.event !== undefined) return ignored;
  const ticks = arrayOf(fields, "data").map((trade) => tick(fieldsOf(trade), receivedTimeUs));
  return { kind: "ticks", ticks, snapshot: false };
}

function tick(fields: Fields, receivedTimeUs: number): VenueTick {
  const last = integerOf(fields, "tradeId");
  const count = fields.count === undefined ? 1 : integerOf(fields, "count");
  if (count > last) throw badRecord(`"count" must not be beyond the id: ${count} and ${last}`);
  const trade = checkedTrade({
    venue: name,
    symbol: normaliseSymbol(textOf(fields, "instId")),
    tradeId: String(last),
    price: fields.px,
    size: fields.sz,
    side: oneOf(fields, "side", sides),
    exchangeTimeUs: integerOf(fields, "ts") * 1000,
    receivedTimeUs,
  });
  return { trade, ids: { first: last - Math.max(count, 1) + 1, last } };
}
