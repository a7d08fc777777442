/**
 * Binance spot and USD-M futures, `@trade`. Trade ids count per symbol without holes. An aggregate (`aggTrade`) covers
 * the ids `f` to `l` and goes under the last of them.
 * @see https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
 */
import { binanceTrade } from "../binance.ts";
import { badRecord, type Fields, fieldsOf, integerOf, parseJson } from "../fields.ts";
import { batches, ignored, subscribed, type Venue, type VenueMessage, type VenueTick } from "./venue.ts";

/** The venue ends every connection after 24 hours. */
const maxAgeMs = 23.5 * 3_600_000;
const symbolsPerFrame = 100;

function market(name: string, url: string): Venue {
  return {
    name,
    url,
    countsTrades: true,
    // Spot pings every 20 s, futures every 3 minutes: with pings of our own both are heard from.
    keepAlive: { periodMs: 20_000 },
    staleMs: 60_000,
    // Five messages a second at most, pings and pongs included.
    subscribePauseMs: 300,
    maxAgeMs,
    subscribe(symbols) {
      const frames = batches(symbols, symbolsPerFrame).map((part, index) => {
        const params = part.map((symbol) => `${symbol.toLowerCase()}@trade`);
        return JSON.stringify({ method: "SUBSCRIBE", params, id: index + 1 });
      });
      return { frames, acks: frames.length };
    },
    read: (frame, receivedTimeUs) => [message(fieldsOf(parseJson(frame)), name, receivedTimeUs)],
  };
}

export const binance = market("binance", "wss://stream.binance.com:9443/stream");
export const binanceUsdm = market("binance-usdm", "wss://fstream.binance.com/public/stream");

function message(frame: Fields, venue: string, receivedTimeUs: number): VenueMessage {
  // Without "stream" around it, it is the frame of a raw stream.
  const data = "data" in frame ? fieldsOf(frame.data) : frame;
  if (data.e === "trade") return ticks(trade(data, venue, receivedTimeUs));
  if (data.e === "aggTrade") return ticks(aggregate(data, venue, receivedTimeUs));
  if (data.e === "serverShutdown") return { kind: "reconnect", reason: "serverShutdown" };
  if (frame.error !== undefined) return refused(fieldsOf(frame.error));
  if (frame.code !== undefined) return refused(frame);
  return frame.result === null ? subscribed : ignored;
}

const ticks = (tick: VenueTick): VenueMessage => ({ kind: "ticks", ticks: [tick], snapshot: false });

function trade(data: Fields, venue: string, receivedTimeUs: number): VenueTick {
  const id = integerOf(data, "t");
  const tick = { trade: binanceTrade(data, venue, receivedTimeUs), ids: { first: id, last: id } };
  // Futures report what was no trade of the market (X: insurance fund, deleveraging) with zeros.
  return Number(data.p) === 0 && Number(data.q) === 0 ? { ...tick, blank: true } : tick;
}

function aggregate(data: Fields, venue: string, receivedTimeUs: number): VenueTick {
  const ids = { first: integerOf(data, "f"), last: integerOf(data, "l") };
  if (ids.first > ids.last) throw badRecord(`"f" must not be behind "l": ${ids.first} and ${ids.last}`);
  return { trade: binanceTrade({ ...data, t: ids.last }, venue, receivedTimeUs), ids };
}

function refused({ code, msg }: Fields): VenueMessage {
  return { kind: "refused", reason: `${msg} (${code})`, fatal: true };
}
