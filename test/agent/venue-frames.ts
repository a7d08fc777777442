/** Frames of venues from the fixtures, and what they say by a reading of its own: patterns, no JSON, no parser. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const fixtures = new URL("fixtures/venues/", import.meta.url);
const samples = new URL("../../deploy/demo/sample/", import.meta.url);

/** What a tick must be, times as text so that no digit is lost. */
export interface Expected {
  symbol: string;
  tradeId: string | undefined;
  price: string;
  size: string;
  side: string;
  exchangeTimeUs: string;
}

/** The received frames of a recorded session, of one of its connections where it has several. */
export function recordedFrames(name: string, connection = ""): string[] {
  const lines = readFileSync(new URL(`${name}.jsonl`, fixtures), "utf8")
    .trimEnd()
    .split("\n");
  const entries = lines.map((line) => JSON.parse(line) as { t: string; conn: string; data: string });
  return entries.filter(({ t, conn }) => t === "recv" && conn.includes(connection)).map(({ data }) => data);
}

/** The frames of a recording of lines. */
function binanceFrames(name: string, directory = fixtures): string[] {
  const file = new URL(`${name}_20240808.trades.txt.gz`, directory);
  const lines = gunzipSync(readFileSync(file)).toString("latin1").trimEnd().split("\n");
  return lines.map((line) => line.slice(line.indexOf(" ") + 1));
}

type Read = (frame: string) => Expected[];

/** The innermost objects of a frame. */
const objects = (frame: string): string[] => frame.match(/\{[^{}]*\}/g) ?? [];

/** The text of a field as it is written, without quotes. */
function field(object: string, name: string): string {
  const value = new RegExp(`"${name}":(?:"([^"]*)"|([^,}\\]]+))`).exec(object);
  return value?.[1] ?? value?.[2] ?? "";
}

const has = (frame: string, ...parts: string[]): boolean => parts.every((part) => frame.includes(part));

function isoUs(text: string): string {
  const [, second = "", fraction = ""] = /^([^.Z]+)(?:\.(\d+))?Z$/.exec(text) ?? [];
  return `${BigInt(Date.parse(`${second}Z`)) / 1000n}${fraction.padEnd(6, "0").slice(0, 6)}`;
}

const plain = (number: string): string => (number === "1e-8" ? "0.00000001" : number);

const binance: Read = (frame) => {
  if (!has(frame, '"p":')) return [];
  const object = objects(frame)[0] ?? "";
  const aggregate = has(frame, '"aggTrade"');
  return [
    {
      symbol: field(object, "s"),
      tradeId: field(object, aggregate ? "l" : "t"),
      price: field(object, "p"),
      size: field(object, "q"),
      side: field(object, "m") === "true" ? "sell" : "buy",
      exchangeTimeUs: `${field(object, "T")}000`,
    },
  ];
};

const coinbase: Read = (frame) => {
  if (!has(frame, '"market_trades"', '"trade_id"')) return [];
  const trades = objects(frame).map((object) => ({
    symbol: field(object, "product_id"),
    tradeId: field(object, "trade_id"),
    price: field(object, "price"),
    size: field(object, "size"),
    side: field(object, "side") === "BUY" ? "sell" : "buy",
    exchangeTimeUs: isoUs(field(object, "time")),
  }));
  return trades.reverse();
};

const krakenV1: Read = (frame) => {
  const pair = /"trade","([^"]+)"\]$/.exec(frame)?.[1];
  if (pair === undefined) return [];
  return [...frame.matchAll(/\["([^"]+)","([^"]+)","(\d+)\.(\d+)","([bs])"/g)].map(
    ([, price = "", size = "", seconds, micros, side]) => ({
      symbol: pair.replace("/", "-"),
      tradeId: undefined,
      price,
      size,
      side: side === "b" ? "buy" : "sell",
      exchangeTimeUs: `${seconds}${micros}`,
    }),
  );
};

const krakenV2: Read = (frame) => {
  if (!has(frame, '"trade_id"')) return [];
  return objects(frame).map((object) => ({
    symbol: field(object, "symbol").replace("/", "-"),
    tradeId: field(object, "trade_id"),
    price: plain(field(object, "price")),
    size: plain(field(object, "qty")),
    side: field(object, "side"),
    exchangeTimeUs: isoUs(field(object, "timestamp")),
  }));
};

const bitstamp: Read = (frame) => {
  if (!has(frame, '"event":"trade"')) return [];
  const object = objects(frame)[0] ?? "";
  return [
    {
      symbol: field(frame, "channel").replace("live_trades_", "").toUpperCase(),
      tradeId: field(object, "id"),
      price: field(object, "price_str"),
      size: field(object, "amount_str"),
      side: field(object, "type") === "0" ? "buy" : "sell",
      exchangeTimeUs: field(object, "microtimestamp"),
    },
  ];
};

const okx: Read = (frame) => {
  if (!has(frame, '"tradeId"')) return [];
  const trades = objects(frame).filter((object) => has(object, '"tradeId"'));
  return trades.map((object) => ({
    symbol: field(object, "instId"),
    tradeId: field(object, "tradeId"),
    price: field(object, "px"),
    size: field(object, "sz"),
    side: field(object, "side"),
    exchangeTimeUs: `${field(object, "ts")}000`,
  }));
};

const bybit: Read = (frame) => {
  if (!has(frame, '"publicTrade.')) return [];
  return objects(frame).map((object) => ({
    symbol: field(object, "s"),
    tradeId: field(object, "i"),
    price: field(object, "p"),
    size: field(object, "v"),
    side: field(object, "S").toLowerCase(),
    exchangeTimeUs: `${field(object, "T")}000`,
  }));
};

export interface RecordedSession {
  /** The source's kind, and the venue. */
  venue: string;
  label: string;
  frames: string[];
  read: Read;
  /** How many trades the frames have. */
  trades: number;
}

const spotBtc = binanceFrames("spot_btcusdt", samples);
const usdmBtc = binanceFrames("usdm_btcusdt");
const spotEth = binanceFrames("spot_ethusdt");
const usdmEth = binanceFrames("usdm_ethusdt");

/** Too long to be disturbed in every way: read and replayed as they are. */
export const longSessions: readonly RecordedSession[] = [
  { venue: "binance", label: "ETHUSDT", frames: spotEth, read: binance, trades: 6_106 },
  { venue: "binance-usdm", label: "BTCUSDT", frames: usdmBtc, read: binance, trades: 21_313 },
  { venue: "binance-usdm", label: "ETHUSDT", frames: usdmEth, read: binance, trades: 14_076 },
];

export const recordedSessions: readonly RecordedSession[] = [
  { venue: "binance", label: "aggTrade", frames: recordedFrames("binance"), read: binance, trades: 2 },
  { venue: "binance", label: "@trade", frames: recordedFrames("binance-trade"), read: binance, trades: 4 },
  { venue: "binance", label: "five minutes", frames: spotBtc, read: binance, trades: 9_757 },
  { venue: "binance-usdm", label: "futures", frames: usdmBtc.slice(0, 1_000), read: binance, trades: 1_000 },
  { venue: "coinbase", label: "recorded", frames: recordedFrames("coinbase"), read: coinbase, trades: 279 },
  { venue: "kraken", label: "v1", frames: recordedFrames("kraken-v1", ".48"), read: krakenV1, trades: 10 },
  { venue: "kraken", label: "v2", frames: recordedFrames("kraken-v2"), read: krakenV2, trades: 8 },
  { venue: "bitstamp", label: "recorded", frames: recordedFrames("bitstamp"), read: bitstamp, trades: 10 },
  { venue: "okx", label: "recorded", frames: recordedFrames("okx"), read: okx, trades: 74 },
  {
    venue: "bybit-linear",
    label: "recorded",
    frames: recordedFrames("bybit", ".2"),
    read: bybit,
    trades: 327,
  },
  { venue: "bybit-spot", label: "recorded", frames: recordedFrames("bybit", ".3"), read: bybit, trades: 20 },
];
