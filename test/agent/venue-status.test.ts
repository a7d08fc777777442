/** What an agent says of venues that cannot be reached, and of symbols that they refuse. */
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { startProgram } from "../support/program.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { FakeClock, startAgent, until } from "./support.ts";
import { runVenue, VenueServer } from "./venue-server.ts";

const trade =
  '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":61000.10,"qty":1e-8,"ord_type":"limit","trade_id":1,"timestamp":"2026-01-01T00:00:00Z"}]}';
const ack = '{"method":"subscribe","success":true,"result":{"channel":"trade","symbol":"BTC/USD"}}';
const refusal = '{"method":"subscribe","success":false,"error":"Currency pair not supported X/Y"}';

test("a source says whether it is connected, since when not and why, and how old its last trade is", async (t) => {
  const server = new VenueServer();
  await server.start(t);
  const clock = new FakeClock();
  const { source, lines } = runVenue(t, `kraken:BTC/USD,X/Y?url=${server.url}`, { clock });
  const unknown = { reason: null, lastTickAgeMs: null, missing: [] };
  t.same(source.status().connection, { ...unknown, connected: false, forMs: 0 });
  const client = await server.client(0);
  await until(() => client.frames.length > 0);
  await client.sendAll(ack, refusal, trade);
  clock.advance(4_000);
  const connection = { connected: true, forMs: 4_000, reason: null, lastTickAgeMs: 4_000, missing: ["X-Y"] };
  t.same(source.status().connection, connection);
  client.socket.close(1001, "maintenance");
  await until(() => lines.some(({ event }) => event === "sourceLost"));
  clock.advance(3_000);
  t.same(source.status().connection, {
    ...{ connected: false, forMs: 3_000, reason: "closed with 1001 maintenance" },
    ...{ lastTickAgeMs: 7_000, missing: [] },
  });
});

test("a venue that cannot be reached does not look healthy, nor does one without a symbol", async (t) => {
  const broker = await startReceivingBroker(t);
  const venue = new VenueServer((client) => client.send(ack, refusal, trade));
  await venue.start(t);
  const [away, kraken] = ["okx:BTC-USDT?url=ws://127.0.0.1:1", `kraken:BTC/USD,X/Y?url=${venue.url}`];
  const sources = [away, kraken].flatMap((spec) => ["--source", spec]);
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, broker.url, ...sources, "--http", "127.0.0.1:0");
  await agent.event("sourceLost");
  await agent.event("sourceLive");
  await until(() => broker.ticks.length === 1);
  const { http } = await agent.event("ready");
  const metrics = (await (await fetch(`${http}/metrics`)).text()).split("\n");
  for (const sample of [
    `equipoise_source_up{source="${away}"} 0`,
    `equipoise_source_up{source="${kraken}"} 1`,
    `equipoise_source_missing_symbols{source="${kraken}"} 1`,
  ]) {
    t.ok(metrics.includes(sample), sample);
  }
  t.match(await (await fetch(`${http}/readyz`)).json(), { reason: `the source ${away} is not connected` });
  const program = startProgram(t, "agent", ["status", "--data-dir", dataDir]);
  await program.exited;
  const text = program.lines.map((line) => line.text).join("\n");
  t.match(text, /okx:\S+: running, NOT CONNECTED for \d+ m?s \(.*ECONNREFUSED.*\), no tick yet/);
  t.match(text, /kraken:\S+: running, connected for \d+ m?s, last tick \d+ m?s ago, WITHOUT X-Y, 1 tick,/);
});
