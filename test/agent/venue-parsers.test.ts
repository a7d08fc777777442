import { EquipoiseError } from "@equipoise/shared";
import fc from "fast-check";
import { test } from "tap";
import type { Venue, VenueMessage } from "../../agent/src/source/venue/venue.ts";
import { venues } from "../../agent/src/source/venue/venues.ts";
import { type Expected, recordedSessions } from "./venue-frames.ts";

const venueOf = (name: string): Venue => venues.get(name) as Venue;
const read = (venue: string, frame: string): VenueMessage[] => venueOf(venue).read(frame, 7);

const expected = (venue: string, fields: Expected) => ({
  venue,
  symbol: fields.symbol,
  ...(fields.tradeId === undefined ? {} : { tradeId: fields.tradeId }),
  price: fields.price,
  size: fields.size,
  side: fields.side,
  exchangeTimeUs: Number(fields.exchangeTimeUs),
  receivedTimeUs: 7,
});

for (const session of recordedSessions) {
  test(`${session.venue}, ${session.label}: every frame says the trades that are in it, to the digit`, async (t) => {
    let trades = 0;
    const wrong = session.frames.filter((frame) => {
      const should = session.read(frame).map((fields) => expected(session.venue, fields));
      const messages = read(session.venue, frame);
      const ticks = messages.flatMap((message) => (message.kind === "ticks" ? message.ticks : []));
      trades += ticks.length;
      return JSON.stringify(ticks.map(({ trade }) => trade)) !== JSON.stringify(should);
    });
    t.same(wrong.slice(0, 3), []);
    t.equal(trades, session.trades);
  });
}

test("a snapshot says that it is one", async (t) => {
  const kinds = (venue: string, label: string) =>
    recordedSessions
      .filter((session) => session.venue === venue && session.label === label)
      .flatMap(({ frames }) => frames.flatMap((frame) => read(venue, frame)))
      .flatMap((message) => (message.kind === "ticks" ? [message.snapshot] : []));
  t.same(kinds("coinbase", "recorded").slice(0, 3), [true, true, false]);
  t.same(kinds("kraken", "v2"), [true, true, false, false, false]);
  t.notOk(kinds("bybit-spot", "recorded").includes(true), "what Bybit calls a snapshot is none");
});

test("an aggregate stands for all the trade ids that it covers", async (t) => {
  const binance = '{"e":"aggTrade","s":"A","a":5,"p":"1","q":"1","f":10,"l":12,"T":1,"m":true}';
  t.match(read("binance", binance), [
    { ticks: [{ ids: { first: 10, last: 12 }, trade: { tradeId: "12" } }] },
  ]);
  const okx =
    '{"arg":{"channel":"trades","instId":"A"},"data":[{"instId":"A","tradeId":"12","px":"1","sz":"1","side":"buy","ts":"1","count":"3"}]}';
  t.match(read("okx", okx), [{ ticks: [{ ids: { first: 10, last: 12 }, trade: { tradeId: "12" } }] }]);
});

test("what futures report with zeros takes its id and is no trade", async (t) => {
  const frame = '{"data":{"e":"trade","s":"A","t":5,"p":"0","q":"0","X":"NA","T":1,"m":true}}';
  t.match(read("binance-usdm", frame), [{ ticks: [{ ids: { first: 5, last: 5 }, blank: true }] }]);
});

const said: [venue: string, frame: string, message: object][] = [
  ["binance", '{"result":null,"id":1}', { kind: "subscribed" }],
  ["binance", '{"stream":"x","data":{"e":"serverShutdown","E":1}}', { kind: "reconnect" }],
  ["binance", '{"e":"serverShutdown","E":1}', { kind: "reconnect" }],
  [
    "binance",
    '{"error":{"code":2,"msg":"Invalid request"},"id":1}',
    { kind: "refused", reason: /Invalid.*2/ },
  ],
  ["binance", '{"code":3,"msg":"Invalid JSON"}', { kind: "refused", fatal: true }],
  ["binance", '{"data":{"e":"kline"}}', { kind: "ignored" }],
  ["coinbase", '{"channel":"heartbeats","events":[]}', { kind: "alive" }],
  ["coinbase", '{"channel":"subscriptions","events":[]}', { kind: "subscribed" }],
  [
    "coinbase",
    '{"type":"error","message":"rate limit"}',
    { kind: "refused", reason: "rate limit", fatal: false },
  ],
  ["kraken", '{"channel":"heartbeat"}', { kind: "alive" }],
  ["kraken", '{"method":"subscribe","success":true,"result":{"channel":"trade"}}', { kind: "subscribed" }],
  [
    "kraken",
    '{"method":"subscribe","success":false,"error":"Currency pair not supported X/Y"}',
    { kind: "refused", reason: /X\/Y/, fatal: true },
  ],
  ["kraken", '{"event":"heartbeat"}', { kind: "alive" }],
  ["kraken", '[1,{"a":[]},"book-10","XBT/USD"]', { kind: "ignored" }],
  ["bitstamp", '{"event":"bts:request_reconnect","channel":"","data":""}', { kind: "reconnect" }],
  ["bitstamp", '{"event":"bts:heartbeat","data":{"status":"success"}}', { kind: "alive" }],
  [
    "bitstamp",
    '{"event":"bts:error","channel":"","data":{"code":null,"message":"Bad subscription string."}}',
    { kind: "refused", reason: "Bad subscription string.", fatal: true },
  ],
  ["okx", "pong", { kind: "alive" }],
  ["okx", '{"event":"notice","code":"64008","msg":"soon"}', { kind: "reconnect" }],
  ["okx", '{"event":"subscribe","arg":{"channel":"trades-all","instId":"A"}}', { kind: "subscribed" }],
  ["okx", '{"event":"error","code":"60018","msg":"no"}', { kind: "refused", fatal: true }],
  ["okx", '{"event":"error","code":"60014","msg":"too fast"}', { kind: "refused", fatal: false }],
  ["bybit-linear", '{"op":"ping","success":true,"ret_msg":"pong"}', { kind: "alive" }],
  ["bybit-linear", '{"op":"subscribe","success":true,"ret_msg":""}', { kind: "subscribed" }],
  [
    "bybit-spot",
    '{"op":"subscribe","success":false,"ret_msg":"Invalid symbol :[publicTrade.X]"}',
    { kind: "refused", fatal: true },
  ],
];

test("acknowledgements, pongs, announced ends and refusals are told apart", async (t) => {
  for (const [venue, frame, message] of said) t.match(read(venue, frame), [message], `${venue} ${frame}`);
});

const asked: [venue: string, symbols: string[], frame: string, acks: number][] = [
  [
    "binance",
    ["BTCUSDT", "ETHUSDT"],
    '{"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@trade"],"id":1}',
    1,
  ],
  ["coinbase", ["BTC-USD"], '{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}', 1],
  [
    "kraken",
    ["BTC-USD", "ETH/USD"],
    '{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","ETH/USD"],"snapshot":true}}',
    2,
  ],
  ["bitstamp", ["ETH/USD"], '{"event":"bts:subscribe","data":{"channel":"live_trades_ethusd"}}', 1],
  ["okx", ["BTC-USDT"], '{"op":"subscribe","args":[{"channel":"trades-all","instId":"BTC-USDT"}]}', 1],
  ["bybit-linear", ["BTCUSDT"], '{"req_id":"BTCUSDT","op":"subscribe","args":["publicTrade.BTCUSDT"]}', 1],
];

test("each venue is asked as it documents", async (t) => {
  for (const [venue, symbols, frame, acks] of asked) {
    const subscription = venueOf(venue).subscribe(symbols);
    t.equal(subscription.frames[0], frame);
    t.equal(subscription.acks, acks, venue);
  }
  t.equal(venueOf("coinbase").subscribe(["A"]).frames[1], '{"type":"subscribe","channel":"heartbeats"}');
  const many = Array.from({ length: 250 }, (_, n) => `S${n}`);
  const parts = venueOf("binance")
    .subscribe(many)
    .frames.map((frame) => JSON.parse(frame).params.length);
  t.same(parts, [100, 100, 50]);
});

/** A frame with one thing wrong: characters cut off, changed, added or taken out. */
const damaged = (frames: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...frames), fc.nat(), fc.nat(40), fc.string({ maxLength: 3 }))
    .map(([frame, at, length, put]) => {
      const start = at % (frame.length + 1);
      return frame.slice(0, start) + put + frame.slice(start + length);
    });

for (const venue of venues.keys()) {
  test(`${venue}: a damaged frame is read or refused with a reason, and never anything else`, async (t) => {
    const frames = recordedSessions
      .filter((session) => session.venue === venue)
      .flatMap((session) => session.frames.slice(0, 80));
    let refused = 0;
    fc.assert(
      fc.property(damaged(frames), (frame) => {
        try {
          for (const message of read(venue, frame)) {
            if (message.kind !== "ticks") continue;
            for (const { trade } of message.ticks) if (!/^-?\d+(\.\d+)?$/.test(trade.price)) return false;
          }
          return true;
        } catch (error) {
          refused += 1;
          return error instanceof EquipoiseError && error.code === "EQ_SOURCE_BAD_RECORD";
        }
      }),
      { numRuns: 1_000 },
    );
    t.ok(refused > 100, `${refused} of 1,000 were refused`);
  });
}

test("a trade that covers ids the wrong way round is skipped, for it would hide a hole", (t) => {
  const aggregate = (first: number, last: number): string =>
    `{"e":"aggTrade","s":"A","p":"1","q":"1","f":${first},"l":${last},"T":1723000000000,"m":true}`;
  const merged = (count: number, last: number): string =>
    `{"arg":{"channel":"trades"},"data":[{"instId":"A-B","tradeId":"${last}","count":"${count}","px":"1","sz":"1","side":"buy","ts":"1723000000000"}]}`;
  for (const [venue, good, bad] of [
    ["binance", aggregate(7, 9), aggregate(9, 7)],
    ["okx", merged(3, 9), merged(10, 9)],
  ] as const) {
    t.match(read(venue, good), [{ ticks: [{ ids: { first: 7, last: 9 } }] }], venue);
    t.throws(() => read(venue, bad), { code: "EQ_SOURCE_BAD_RECORD" });
  }
  t.end();
});
