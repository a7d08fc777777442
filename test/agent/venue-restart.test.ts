/** The agent ends and starts again: of what the venue sent meanwhile each trade comes once or is told of. */
import { decodePayload, type Gap, type TickRecord, type Trade } from "@equipoise/shared";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { startAgent, until } from "./support.ts";
import { KeptMarks, runVenue, VenueServer } from "./venue-server.ts";

const krakenTrade = (id: number): string =>
  `{"symbol":"BTC/USD","side":"buy","price":61000.10,"qty":1e-8,"ord_type":"limit","trade_id":${id},"timestamp":"2026-01-01T00:00:00.${String(id).padStart(6, "0")}Z"}`;
const kraken = (type: "snapshot" | "update", ...ids: number[]): string =>
  `{"channel":"trade","type":"${type}","data":[${ids.map(krakenTrade)}]}`;
const krakenAck = '{"method":"subscribe","success":true,"result":{"channel":"trade","symbol":"BTC/USD"}}';
const bitstamp = (id: number): string =>
  `{"event":"trade","channel":"live_trades_btcusd","data":{"id":${id},"price_str":"1","amount_str":"2","type":0,"microtimestamp":"1723000000000000"}}`;
const bitstampAck = '{"event":"bts:subscription_succeeded","channel":"live_trades_btcusd","data":{}}';

/** Venues, a broker and runs of one agent between them. @param symbols by venue */
async function start(t: Parameters<typeof startReceivingBroker>[0], symbols: Record<string, string>) {
  const broker = await startReceivingBroker(t);
  const venues = Object.values(symbols).map(() => new VenueServer());
  for (const venue of venues) await venue.start(t);
  const dataDir = await temporaryDirectory(t);
  const sources = Object.entries(symbols).flatMap(([venue, list], n) => [
    "--source",
    `${venue}:${list}?url=${venues[n]?.url}`,
  ]);
  const records = (venue = ""): TickRecord[] =>
    broker.ticks
      .filter(({ topic }) => topic.startsWith(`ticks/${venue}`))
      .flatMap(({ payload }) => decodePayload(Buffer.from(payload)));
  let runs = 0;
  /** The agent reads these frames of the venues, and ends when the broker has the trades that come last. */
  const run = async (frames: string[][], last: number[], signal: NodeJS.Signals = "SIGTERM") => {
    const agent = startAgent(t, dataDir, broker.url, ...sources);
    for (const [n, venue] of venues.entries()) {
      const client = await venue.client(runs);
      await until(() => client.frames.length > 0);
      await client.sendAll(...(frames[n] ?? []));
    }
    runs += 1;
    await until(() => last.every((id) => trades(records()).includes(id)));
    await agent.stop(signal);
  };
  return { run, records };
}

const trades = (records: readonly TickRecord[]): number[] =>
  records.filter((record): record is Trade => record.type === "trade").map(({ tradeId }) => Number(tradeId));
const gapsOf = (records: readonly TickRecord[]): Gap[] =>
  records.filter((record): record is Gap => record.type === "gap");

test("over a restart the hole is told of: exactly where ids count, by its time where they tell nothing", async (t) => {
  const { run, records } = await start(t, { kraken: "BTC/USD", bitstamp: "btcusd" });
  await run(
    [
      [krakenAck, kraken("snapshot", 1, 2, 3), kraken("update", 4, 5)],
      [bitstampAck, bitstamp(1)],
    ],
    [1, 5],
  );
  const endedUs = Date.now() * 1_000;
  await run(
    [
      [krakenAck, kraken("snapshot", 200, 201), kraken("update", 202)],
      [bitstampAck, bitstamp(9)],
    ],
    [9, 202],
  );
  t.same(trades(records("kraken")), [1, 2, 3, 4, 5, 200, 201, 202]);
  t.match(gapsOf(records("kraken")), [
    { reason: "feed", count: 194, fromTradeId: "6", toTradeId: "199", seq: 6 },
  ]);
  t.same(trades(records("bitstamp")), [1, 9]);
  const [gap] = gapsOf(records("bitstamp"));
  t.match(gap, { reason: "feed", count: null, seq: 2 });
  t.ok((gap?.fromTimeUs ?? endedUs) < endedUs && (gap?.toTimeUs ?? 0) > endedUs, "from before to after");
});

test("what the first snapshot repeats of the time before is dropped, and what it adds closes the hole", async (t) => {
  const marks = new KeptMarks();
  marks.marks.set("kraken BTC-USD", { tradeId: "5", exchangeTimeUs: 1, receivedTimeUs: 1 });
  const venue = new VenueServer((client) =>
    client.send(krakenAck, kraken("snapshot", 3, 4, 5, 6, 7), kraken("update", 8)),
  );
  await venue.start(t);
  const { sink, source } = runVenue(t, `kraken:BTC/USD?url=${venue.url}`, { marks });
  await until(() => sink.records.length === 3);
  t.same([sink.ids, sink.gaps, source.repeated], [["6", "7", "8"], [], 3]);
});

test("a symbol that goes and comes again goes on behind its last trade", async (t) => {
  const venue = new VenueServer();
  await venue.start(t);
  const { sink, source, marks } = runVenue(t, `kraken:BTC/USD,ETH/USD?url=${venue.url}`);
  const first = await venue.client(0);
  await first.sendAll(krakenAck, krakenAck, kraken("update", 5));
  marks.marks.set("kraken BTC-USD", { tradeId: "5", exchangeTimeUs: 1, receivedTimeUs: 1 });
  source.follow(["ETH/USD"]);
  await (await venue.client(1)).sendAll(krakenAck);
  source.follow(["ETH/USD", "BTC/USD"]);
  await (await venue.client(2)).sendAll(krakenAck, krakenAck, kraken("snapshot", 4, 5, 8));
  await until(() => sink.records.length === 3);
  t.match(sink.records, [{ tradeId: "5" }, { count: 2, fromTradeId: "6", toTradeId: "7" }, { tradeId: "8" }]);
});

test("after a kill the hole reaches from the last commit, and nobody claims to know how many are missing", async (t) => {
  const { run, records } = await start(t, { kraken: "BTC/USD" });
  await run([[krakenAck, kraken("update", 1), kraken("update", 2, 3, 4, 5)]], [5], "SIGKILL");
  await run([[krakenAck, kraken("update", 200)]], [200]);
  const [crash, hole, ...more] = gapsOf(records());
  t.match([crash, hole], [{ reason: "crash" }, { reason: "feed", count: null, toTradeId: "199" }]);
  t.same(more, []);
  const from = Number(hole?.fromTradeId);
  t.ok(from >= 2 && from <= 6, `from ${from}`);
  t.same([...new Set(trades(records()))], [1, 2, 3, 4, 5, 200]);
});
