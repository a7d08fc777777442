import { decodePayload } from "@equipoise/shared";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { startAgent, until } from "./support.ts";
import { VenueServer } from "./venue-server.ts";

const krakenTrade = (id: number): string =>
  `{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":61000.10,"qty":1e-8,"ord_type":"limit","trade_id":${id},"timestamp":"2026-01-01T00:00:0${id}.5Z"}]}`;
const krakenAck = '{"method":"subscribe","success":true,"result":{"channel":"trade","symbol":"BTC/USD"}}';

test("an agent publishes a venue's trades, and what the venue skipped as a gap record in the same stream", async (t) => {
  const broker = await startReceivingBroker(t);
  const venue = new VenueServer((client) =>
    client.send(krakenAck, ...[1, 2, 2, 5, 6].map((id) => krakenTrade(id))),
  );
  await venue.start(t);
  const spec = `kraken:BTC-USD?url=${venue.url}`;
  const agent = startAgent(t, await temporaryDirectory(t), broker.url, "--source", spec);
  t.match(await agent.event("sourceLive"), { source: spec });
  await until(() => broker.ticks.length >= 5);
  t.same(
    new Set(broker.ticks.map(({ topic }) => topic)),
    new Set(["ticks/kraken/BTC-USD/pi-7"]),
    "one symbol is one stream",
  );
  const records = broker.ticks.flatMap(({ payload }) => decodePayload(Buffer.from(payload)));
  t.match(records, [
    { type: "trade", seq: 1, tradeId: "1", price: "61000.10", size: "0.00000001", side: "buy" },
    { type: "trade", seq: 2, tradeId: "2" },
    { type: "gap", seq: 3, reason: "feed", count: 2, fromTradeId: "3", toTradeId: "4" },
    { type: "trade", seq: 4, tradeId: "5" },
    { type: "trade", seq: 5, tradeId: "6" },
  ]);
  t.same(await agent.stop("SIGTERM"), 0);
  t.match(
    agent.lines.find(({ event }) => event === "ended"),
    { read: 4, gaps: 1, buffered: 5, acknowledged: 5 },
  );
  await until(() => venue.clients.every(({ closed }) => closed));
});

test("a venue that cannot be reached, or has no such symbol, does not end the agent", async (t) => {
  const broker = await startReceivingBroker(t);
  const refusal = '{"method":"subscribe","success":false,"error":"Currency pair not supported X/Y"}';
  const venue = new VenueServer((client) => client.send(refusal));
  await venue.start(t);
  const sources = [
    "--source",
    "okx:BTC-USDT?url=ws://127.0.0.1:1",
    "--source",
    `kraken:X/Y?url=${venue.url}`,
  ];
  const agent = startAgent(t, await temporaryDirectory(t), broker.url, ...sources);
  t.match(await agent.event("sourceLost"), { code: "EQ_SOURCE_UNREACHABLE", reason: /ECONNREFUSED/ });
  t.match(await agent.event("sourceFailed"), { code: "EQ_SOURCE_REFUSED", source: /^kraken/ });
  t.same(await agent.stop("SIGTERM"), 0);
});
