import { test } from "tap";
import { FakeClock, until } from "./support.ts";
import { runVenue, type VenueClient, VenueServer } from "./venue-server.ts";

const minuteMs = 60_000;

/** A trade of Binance. */
const binanceTrade = (id: number, symbol = "BTCUSDT"): string =>
  `{"stream":"x","data":{"e":"trade","s":"${symbol}","t":${id},"p":"1.${id}","q":"1","T":${1_723_000_000_000 + id},"m":true}}`;
const binanceAck = '{"result":null,"id":1}';

const bitstampTrade = (id: number, market = "btcusd"): string =>
  `{"event":"trade","channel":"live_trades_${market}","data":{"id":${id},"price_str":"1","amount_str":"2","type":0,"microtimestamp":"1723000000000000"}}`;
const bitstampAckOf = (market: string): string =>
  `{"event":"bts:subscription_succeeded","channel":"live_trades_${market}","data":{}}`;
const bitstampAck = bitstampAckOf("btcusd");

const coinbaseTrades = (type: string, ...ids: number[]): string => {
  const trades = ids.map(
    (id) =>
      `{"product_id":"BTC-USD","trade_id":"${id}","price":"1.${id}","size":"1","time":"2026-08-09T21:05:42.5Z","side":"BUY"}`,
  );
  return `{"channel":"market_trades","events":[{"type":"${type}","trades":[${trades}]}]}`;
};
const coinbaseAck = '{"channel":"subscriptions","events":[]}';

/** Answers the first frame of the first client; a test speaks for the later ones. */
const acknowledging =
  (...frames: string[]) =>
  (client: VenueClient, index: number): void => {
    if (index === 0) client.socket.once("message", () => client.send(...frames));
  };

async function start(t: Parameters<typeof runVenue>[0], spec: string, ...answers: string[]) {
  const server = new VenueServer(acknowledging(...answers));
  await server.start(t);
  const clock = new FakeClock();
  const run = runVenue(t, `${spec}?url=${server.url}`, { clock });
  const client = await server.client(0);
  await until(() => client.frames.length > 0);
  await client.sendAll();
  return { server, clock, client, ...run };
}

test("a lost connection comes again, and what it missed becomes a gap record by the venue's ids", async (t) => {
  const { server, clock, client, sink, lines } = await start(t, "binance:BTCUSDT", binanceAck);
  await client.sendAll(binanceTrade(1), binanceTrade(2));
  client.socket.close(1001, "maintenance");
  await until(() => lines.some(({ event }) => event === "sourceLost"));
  t.match(
    lines.find(({ event }) => event === "sourceLost"),
    { code: "EQ_SOURCE_UNREACHABLE", reason: "closed with 1001 maintenance", retryMs: 25 },
  );
  clock.advance(25);
  const second = await server.client(1);
  await until(() => second.frames.length > 0);
  await second.sendAll(binanceTrade(6), binanceTrade(7));
  t.same(sink.ids, ["1", "2"], "what follows a hole waits for it to be closed");
  clock.advance(1_000);
  t.same(sink.ids, ["1", "2", "6", "7"]);
  t.same(sink.records[2], {
    venue: "binance",
    symbol: "BTCUSDT",
    reason: "feed",
    count: 3,
    fromTradeId: "3",
    toTradeId: "5",
    fromTimeUs: 1_723_000_000_002_000,
    toTimeUs: 1_723_000_000_006_000,
  });
});

test("a snapshot closes the hole of a lost connection, each trade once", async (t) => {
  const { server, clock, client, sink, lines } = await start(t, "coinbase:BTC-USD", coinbaseAck);
  await client.sendAll(coinbaseTrades("snapshot", 3, 2, 1), coinbaseTrades("update", 5, 4));
  client.socket.terminate();
  await until(() => lines.some(({ event }) => event === "sourceLost"));
  clock.advance(minuteMs);
  const second = await server.client(1);
  await until(() => second.frames.length > 0);
  await second.sendAll(coinbaseTrades("snapshot", 8, 7, 6, 5, 4), coinbaseTrades("update", 9));
  t.same(sink.ids, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  t.same(sink.gaps, []);
});

test("where ids tell nothing, the time without a connection becomes a gap record, from before to after", async (t) => {
  const { server, clock, client, sink, lines } = await start(t, "bitstamp:btcusd,ethusd", bitstampAck);
  clock.advance(100);
  await client.sendAll(bitstampAckOf("ethusd"), bitstampTrade(5), bitstampTrade(9));
  const heardUs = clock.wallMs() * 1000;
  clock.advance(3_000);
  client.socket.terminate();
  await until(() => lines.some(({ event }) => event === "sourceLost"));
  t.same(sink.gaps, [], "how long it will be nobody knows yet");
  clock.advance(25);
  const second = await server.client(1);
  await until(() => second.frames.length > 0);
  await second.sendAll(bitstampTrade(9), bitstampTrade(20));
  const gap = { venue: "bitstamp", reason: "feed", count: null, fromTimeUs: heardUs };
  t.match(sink.records.slice(2), [
    { ...gap, symbol: "BTCUSD", toTimeUs: heardUs + 3_025_000 },
    { tradeId: "20" },
  ]);
  clock.advance(100);
  await until(() => second.frames.length === 2);
  await second.sendAll(bitstampAck, bitstampAckOf("ethusd"));
  t.match(sink.gaps[1], { ...gap, symbol: "ETHUSD", toTimeUs: heardUs + 3_125_000 }, "without a trade too");
});

test("where ids tell nothing, a frame that cannot be read becomes a gap record of the symbol that it names, else of all", async (t) => {
  const { clock, client, sink, source } = await start(t, "bitstamp:btcusd,ethusd");
  await client.sendAll("{");
  clock.advance(100);
  await client.sendAll(bitstampAck, bitstampAckOf("ethusd"), bitstampTrade(5));
  const heardUs = clock.wallMs() * 1000;
  clock.advance(40);
  await client.sendAll(bitstampTrade(6).replace('"price_str":"1"', '"price_str":"1e5"'));
  clock.advance(50);
  await client.sendAll(bitstampTrade(7), bitstampTrade(8).slice(0, 70), bitstampTrade(9));
  t.same(sink.gaps, [], "a run of them makes one");
  clock.advance(1_000);
  const gap = { venue: "bitstamp", reason: "feed", count: null };
  t.same(sink.gaps, [{ ...gap, symbol: "BTCUSD", fromTimeUs: heardUs, toTimeUs: heardUs + 90_000 }]);
  await client.sendAll("nonsense");
  clock.advance(2_000);
  t.match(sink.gaps.slice(1), [
    { ...gap, symbol: "BTCUSD" },
    { ...gap, symbol: "ETHUSD" },
  ]);
  t.match(source.status(), { skipped: 4, gaps: 3 });
});

test("a venue that can no longer be read does not fill the buffer with gap records", async (t) => {
  const { clock, client, sink } = await start(t, "bitstamp:btcusd", bitstampAck);
  await client.sendAll(bitstampTrade(5));
  for (let second = 0; second < 300; second += 1) {
    await client.sendAll("nonsense", "nonsense");
    clock.advance(1_000);
  }
  t.ok(sink.gaps.length >= 8 && sink.gaps.length <= 12, `${sink.gaps.length} in 300 s`);
  const ends = sink.gaps.map(({ toTimeUs = 0 }) => toTimeUs);
  t.ok(
    sink.gaps.every(({ fromTimeUs = 0 }, n) => n === 0 || fromTimeUs <= (ends[n - 1] ?? 0)),
    "all of it",
  );
});

test("where the ids tell what is missing, a frame that cannot be read needs no gap record of its own", async (t) => {
  const { clock, client, sink } = await start(t, "binance:BTCUSDT", binanceAck);
  await client.sendAll(binanceTrade(1), "nonsense", binanceTrade(3));
  clock.advance(1_000);
  clock.advance(4_000);
  t.match(sink.gaps, [{ count: 1, fromTradeId: "2", toTradeId: "2" }]);
});

test("nothing is missing at the first start: there is no gap record", async (t) => {
  const { client, sink } = await start(t, "bitstamp:btcusd", bitstampAck);
  await client.sendAll(bitstampTrade(5));
  t.same([sink.ids, sink.gaps], [["5"], []]);
});

test("an announced end: the new connection is subscribed before the old one goes, and nothing is missed", async (t) => {
  const { server, clock, client, sink, lines } = await start(t, "bitstamp:btcusd", bitstampAck);
  await client.sendAll(bitstampTrade(1));
  clock.advance(minuteMs / 4);
  clock.advance(minuteMs / 4); // it has lived long enough not to be besieged
  await client.sendAll(bitstampTrade(2), '{"event":"bts:request_reconnect","channel":"","data":""}');
  const second = await server.client(1);
  t.notOk(client.closed, "the old one is still there");
  await client.sendAll(bitstampTrade(3), bitstampTrade(4));
  await until(() => second.frames.length > 0);
  await second.sendAll(bitstampTrade(4), bitstampTrade(5));
  await client.sendAll();
  t.notOk(client.closed, "the new one is not subscribed to everything yet");
  await second.sendAll(bitstampAck);
  await client.sendAll(bitstampTrade(6)); // sent before the new one was subscribed
  clock.advance(1_999);
  await client.sendAll(bitstampTrade(7));
  t.notOk(client.closed);
  clock.advance(1);
  await until(() => client.closed);
  await second.sendAll(bitstampTrade(8));
  t.same(sink.ids, ["1", "2", "3", "4", "5", "6", "7", "8"]);
  t.same(sink.gaps, []);
  t.ok(lines.some(({ event }) => event === "sourceReplacing"));
  t.notOk(lines.some(({ event }) => event === "sourceLost"));
  second.socket.terminate();
  await until(() => lines.some(({ event }) => event === "sourceLost"));
});

test("where ids count, two connections that overlap are put in order, each trade once", async (t) => {
  const trades = (...ids: number[]) =>
    ids.map(
      (id) =>
        `{"arg":{"channel":"trades-all","instId":"A-B"},"data":[{"instId":"A-B","tradeId":"${id}","px":"1","sz":"1","side":"buy","ts":"1723000000000"}]}`,
    );
  const ack = '{"event":"subscribe","arg":{"channel":"trades-all","instId":"A-B"}}';
  const { server, clock, client, sink } = await start(t, "okx:A-B", ack);
  clock.advance(minuteMs / 4);
  clock.advance(minuteMs / 4);
  await client.sendAll(...trades(1, 2), '{"event":"notice","code":"64008","msg":"soon"}');
  const second = await server.client(1);
  await until(() => second.frames.length > 0);
  await second.sendAll(ack, ...trades(5, 6)); // the new one is ahead
  await client.sendAll(...trades(3, 4, 5));
  t.same(sink.ids, ["1", "2", "3", "4", "5", "6"]);
  clock.advance(minuteMs / 20);
  t.same(sink.gaps, []);
});

test("a venue that announces its end to every new connection is not besieged", async (t) => {
  const { server, clock, client } = await start(t, "bitstamp:btcusd", bitstampAck);
  const announcement = '{"event":"bts:request_reconnect"}';
  await client.sendAll(announcement, announcement, announcement);
  t.equal(server.clients.length, 1);
  clock.advance(24);
  await client.sendAll();
  t.equal(server.clients.length, 1);
  clock.advance(1);
  await server.client(1);
});

test("before a connection reaches the age at which the venue ends it, another takes over", async (t) => {
  const { server, clock, client, lines } = await start(t, "binance:BTCUSDT", binanceAck);
  const stepMs = 50_000;
  for (let ageMs = 0; ageMs + stepMs < 23.5 * 60 * minuteMs; ageMs += stepMs) {
    clock.advance(stepMs);
    await client.sendAll(); // or it would be silent
  }
  t.equal(server.clients.length, 1);
  clock.advance(stepMs);
  await server.client(1);
  t.notOk(lines.some(({ event }) => event === "sourceLost"));
  t.ok(lines.some(({ event }) => event === "sourceReplacing"));
});

test("a silent connection is given up; pings, pongs and heartbeats are no silence", async (t) => {
  const { server, clock, client, lines } = await start(t, "binance:BTCUSDT", binanceAck);
  for (let n = 0; n < 8; n += 1) {
    clock.advance(20_000);
    await until(() => client.pings === n + 1); // its own keep-alive, which the server answers
    await new Promise((resolve) => setTimeout(resolve, 5)); // a pong leaves no other trace
  }
  t.notOk(lines.some(({ event }) => event === "sourceLost"));
  client.socket.pause();
  for (let n = 0; n < 4; n += 1) clock.advance(15_000);
  t.match(
    lines.find(({ event }) => event === "sourceLost"),
    { reason: "silent for 60000 ms" },
  );
  clock.advance(minuteMs);
  await server.client(1);
});

test("a text ping goes out where the venue wants one", async (t) => {
  const { clock, client } = await start(t, "okx:BTC-USDT");
  clock.advance(20_000);
  await until(() => client.frames.includes("ping"));
  t.same(client.frames.length, 2);
});

test("subscribe frames keep the venue's pace", async (t) => {
  const { clock, client } = await start(t, "bybit-spot:A,B,C,D,E");
  const counts = [client.frames.length];
  for (let n = 0; n < 3; n += 1) {
    clock.advance(49);
    await client.sendAll();
    counts.push(client.frames.length);
    clock.advance(1);
    await client.sendAll();
    counts.push(client.frames.length);
  }
  t.same(counts, [1, 1, 2, 2, 3, 3, 4]);
});

test("attempts in vain come at growing, random distances up to half a minute", async (t) => {
  const server = new VenueServer();
  await server.start(t);
  const url = server.url;
  server.stop();
  const clock = new FakeClock();
  const { lines } = runVenue(t, `binance:BTCUSDT?url=${url}`, { clock, random: () => 0.5 });
  const lost = () => lines.filter(({ event }) => event === "sourceLost");
  for (let attempt = 1; attempt <= 9; attempt += 1) {
    await until(() => lost().length === attempt);
    clock.advance(Number(lost().at(-1)?.retryMs));
  }
  t.same(
    lost().map(({ retryMs }) => retryMs),
    [125, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000],
  );
  t.match(lost()[0], { reason: /ECONNREFUSED/ });
});

test("a subscription without an answer is tried again on a new connection", async (t) => {
  const { server, clock, lines } = await start(t, "binance:BTCUSDT");
  clock.advance(300);
  clock.advance(10_000);
  t.match(
    lines.find(({ event }) => event === "sourceLost"),
    { reason: /no answer to the subscription/ },
  );
  clock.advance(25);
  await server.client(1);
});

test("a venue that has none of the symbols ends the source, and says which", async (t) => {
  const refusal = '{"method":"subscribe","success":false,"error":"Currency pair not supported X/Y"}';
  const { source, ended } = await start(t, "kraken:X/Y", refusal);
  await t.rejects(ended, { code: "EQ_SOURCE_REFUSED", message: /kraken:X\/Y.*not supported X\/Y/ });
  t.equal(source.status().state, "failed");
});

test("one refused symbol does not take the others with it", async (t) => {
  const { source, lines, client, sink } = await start(
    t,
    "kraken:X/Y,BTC/USD",
    '{"method":"subscribe","success":false,"error":"Currency pair not supported X/Y"}',
    '{"method":"subscribe","success":true,"result":{}}',
  );
  await client.sendAll(
    '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":1.50,"qty":2,"trade_id":1,"timestamp":"2026-01-01T00:00:00Z"}]}',
  );
  t.match(sink.trades, [{ symbol: "BTC-USD", price: "1.50" }]);
  t.match(
    lines.filter(({ event }) => event === "sourceRefused"),
    [{ code: "EQ_SOURCE_REFUSED", reason: /X\/Y/ }],
  );
  t.ok(lines.some(({ event }) => event === "sourceLive"));
  t.equal(source.status().state, "running");
});

test("a refusal that may pass leads to a new connection", async (t) => {
  const { server, clock, lines } = await start(
    t,
    "coinbase:BTC-USD",
    '{"type":"error","message":"rate limit exceeded"}',
  );
  t.match(
    lines.filter(({ event }) => event === "sourceLost"),
    [{ reason: "refused: rate limit exceeded" }],
  );
  clock.advance(25);
  await server.client(1);
});

test("while the sink is full the source stops reading, and is not taken for silent", async (t) => {
  const { clock, client, sink, lines } = await start(t, "binance:BTCUSDT", binanceAck);
  sink.hasRoom = false;
  client.send(binanceTrade(1));
  await until(() => sink.ids.length === 1);
  client.send(...Array.from({ length: 9 }, (_, n) => binanceTrade(n + 2)));
  for (let n = 0; n < 8; n += 1) clock.advance(15_000);
  await new Promise((resolve) => setTimeout(resolve, 50)); // that nothing comes cannot be waited for
  t.equal(sink.ids.length, 1);
  t.notOk(lines.some(({ event }) => event === "sourceLost"));
  sink.makeRoom();
  await until(() => sink.ids.length === 10);
});

test("frames longer than the bound end the connection, not the agent", async (t) => {
  const { client, lines } = await start(t, "binance:BTCUSDT", binanceAck);
  client.send("x".repeat(5 * 2 ** 20));
  await until(() => lines.some(({ event }) => event === "sourceLost"));
  t.match(
    lines.find(({ event }) => event === "sourceLost"),
    { reason: /Max payload size exceeded/ },
  );
});
