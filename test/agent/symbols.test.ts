/** Symbols of a live source that come and go while the agent runs, and stay so. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodePayload, systemClock } from "@equipoise/shared";
import { test } from "tap";
import { refuseOverlap } from "../../agent/src/source/overlap.ts";
import { merged, type SymbolChanges, SymbolChangesFile } from "../../agent/src/source/symbol-changes.ts";
import { applied } from "../../agent/src/source/venue-specs.ts";
import { AgentRequests } from "../../shared/src/client/agent-requests.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { answerMs, untilAnswered } from "./requests-support.ts";
import { counting, startAgent, until } from "./support.ts";
import { type VenueClient, VenueServer } from "./venue-server.ts";

const tradeFrame = (symbol: string, id: number): string =>
  `{"channel":"trade","type":"update","data":[{"symbol":"${symbol}","side":"buy","price":61000.10,"qty":1e-8,"ord_type":"limit","trade_id":${id},"timestamp":"2026-01-01T00:00:0${id}.5Z"}]}`;

/** Acknowledges whatever is subscribed. */
async function acknowledge(client: VenueClient): Promise<string[]> {
  await until(() => client.frames.some((frame) => frame.includes("subscribe")));
  const symbols = client.frames.flatMap((frame) => (JSON.parse(frame).params?.symbol ?? []) as string[]);
  for (const symbol of symbols) {
    client.send(`{"method":"subscribe","success":true,"result":{"channel":"trade","symbol":"${symbol}"}}`);
  }
  return symbols;
}

test("a symbol is added and another removed without a loss to the third, and it stays so after a kill and a restart", async (t) => {
  const broker = await startBroker(t, { args: ["--durability", "memory"] });
  const watcher = await MqttClient.connect(t, broker.port, "watcher");
  await watcher.subscribe("ticks/#");
  const received = async (): Promise<string> => {
    const [record] = decodePayload(Buffer.from(await watcher.receive()));
    return record?.type === "trade" ? `${record.symbol} ${record.tradeId}` : "a gap";
  };
  const venue = new VenueServer();
  await venue.start(t);
  const dataDir = await temporaryDirectory(t);
  const args = ["--source", `kraken:BTC/USD,ETH/USD?url=${venue.url}`];
  const agent = startAgent(t, dataDir, broker.url, ...args);
  const first = await venue.client(0);
  t.same(await acknowledge(first), ["BTC/USD", "ETH/USD"]);
  await agent.event("sourceLive");
  first.send(tradeFrame("BTC/USD", 1));
  t.equal(await received(), "BTC-USD 1");
  const requests = new AgentRequests({ clientId: "asker", clean: true, keepaliveS: 30, clock: systemClock });
  t.teardown(() => requests.stop());
  const change = { venue: "kraken", add: ["SOL/USD"], remove: ["ETH-USD"] };
  const { outcome } = await requests.ask(broker.url, "pi-7", "config", change, answerMs);
  t.same(outcome.sources, [`kraken:BTC/USD,SOL/USD?url=${venue.url}`]);
  // While the second connection comes the first is read on, but for what was removed.
  first.send(tradeFrame("ETH/USD", 1), tradeFrame("BTC/USD", 2));
  t.equal(await received(), "BTC-USD 2");
  const second = await venue.client(1);
  t.same(await acknowledge(second), ["BTC/USD", "SOL/USD"]);
  second.send(tradeFrame("BTC/USD", 2), tradeFrame("BTC/USD", 3), tradeFrame("SOL/USD", 1));
  t.same([await received(), await received()], ["BTC-USD 3", "SOL-USD 1"]);
  await agent.stop("SIGKILL");
  startAgent(t, dataDir, broker.url, ...args);
  t.same(await acknowledge(await venue.client(2)), ["BTC/USD", "SOL/USD"]);
});

test("a change that cannot be is refused with its reason and changes nothing", async (t) => {
  const broker = await startBroker(t, { args: ["--durability", "memory"] });
  const agent = startAgent(t, await temporaryDirectory(t), broker.url, "--source", "stdin:");
  await agent.event("connected");
  const requests = new AgentRequests({ clientId: "asker", clean: true, keepaliveS: 30, clock: systemClock });
  t.teardown(() => requests.stop());
  const ask = (method: string, body: object) => requests.ask(broker.url, "pi-7", method, body, answerMs);
  await untilAnswered(requests, broker.url);
  const change = (body: object) => ask("config", body);
  await t.rejects(change({ venue: "mars", add: ["X"] }), { message: /EQ_CONFIG_BAD_VALUE: venue is mars/ });
  await t.rejects(change({ venue: "kraken", add: ["no symbol!"] }), { message: /EQ_CONFIG_BAD_VALUE/ });
  await t.rejects(change({ venue: "kraken" }), { message: /EQ_REQUEST_INVALID.*add or remove/ });
});

test("changes apply over whatever is configured", (t) => {
  const texts = ["kraken:A,B", "stdin:", "kraken:C"];
  t.same(applied(texts, { kraken: { add: ["D"], remove: ["B", "C"] } }), ["stdin:", "kraken:A,D"]);
  t.same(applied(["stdin:"], { okx: { add: ["X-Y"], remove: [] } }), ["stdin:", "okx:X-Y"]);
  t.same(applied(texts, { kraken: { add: ["A"], remove: [] } }), ["stdin:", "kraken:A,B", "kraken:C"]);
  t.end();
});

test("a symbol that is there already is not added, in whatever writing and however often it is named", (t) => {
  const texts = ["kraken:BTC/USD", "bitstamp:BTC-USD"];
  const again = { add: ["BTC-USD", "btc/usd", "ETH/USD", "ETH-USD"], remove: [] };
  t.same(applied(texts, { kraken: again, bitstamp: { add: ["btcusd"], remove: [] } }), [
    "kraken:BTC/USD,ETH/USD",
    "bitstamp:BTC-USD",
  ]);
  t.same(applied(texts, { kraken: { add: ["X/Y"], remove: ["BTC-USD"] } }), [
    "bitstamp:BTC-USD",
    "kraken:X/Y",
  ]);
  t.end();
});

test("what two sources would both bring is refused at the start in one clear line", async (t) => {
  const refused: [string[], RegExp][] = [
    [
      ["binance:BTCUSDT", "binance:ETHUSDT,btcusdt"],
      /binance BTCUSDT is in the source binance:BTCUSDT already/,
    ],
    [["kraken:BTC/USD?url=ws://127.0.0.1:1", "kraken:BTC-USD"], /kraken BTC-USD is in the source/],
    [["bitstamp:BTC-USD", "bitstamp:BTCUSD"], /bitstamp BTCUSD is in/],
    [["file:a.jsonl", "file:./a.jsonl?loop=true"], /file \S*a\.jsonl is in/],
    [["stdin:", "stdin:"], /standard input is in/],
  ];
  for (const [specs, message] of refused) {
    t.throws(() => refuseOverlap(specs), { code: "EQ_CONFIG_BAD_VALUE", message });
  }
  refuseOverlap(["binance:BTCUSDT", "binance-usdm:BTCUSDT", "tcp:127.0.0.1:0", "tcp:127.0.0.1:0"]);
  const args = ["binance:BTCUSDT", "binance:BTCUSDT,ETHUSDT"].flatMap((spec) => ["--source", spec]);
  const agent = startAgent(t, await temporaryDirectory(t), "mqtt://127.0.0.1:1", ...args);
  t.equal((await agent.exited).code, 2);
  t.match(agent.stderr, /^equipoise-agent: EQ_CONFIG_BAD_VALUE: [^\n]*binance BTCUSDT is in[^\n]*\n$/);
});

test("more symbols than one source may have go to a second one", (t) => {
  const many = counting(1, 450).map((n) => `S${n}`);
  const after = applied(["kraken:A,B", "kraken:C"], { kraken: { add: many, remove: ["C"] } });
  t.same(
    after.map((text) => text.split(",").length),
    [200, 200, 52],
  );
  t.end();
});

test("symbols that come and go at run time alone are not remembered for ever", (t) => {
  const configured = new Set(["A", "B"]);
  let changes: SymbolChanges | undefined;
  for (const n of counting(1, 3_000)) {
    changes = merged(changes, { add: [`S${n}`], remove: [] }, configured);
    if (n > 3) changes = merged(changes, { add: [], remove: [`S${n - 3}`] }, configured);
  }
  t.same(changes, { add: ["S2998", "S2999", "S3000"], remove: [] });
  t.same(merged(changes, { add: ["A"], remove: ["B", "S2998", "S2999"] }, configured), {
    add: ["S3000"],
    remove: ["B"],
  });
  t.end();
});

test("changes beyond what the next start would read are refused", async (t) => {
  const file = new SymbolChangesFile(await temporaryDirectory(t));
  const names = (count: number): string[] => counting(1, count).map((n) => `S${n}`);
  file.write({ okx: { add: names(1_000), remove: [] } });
  t.throws(() => file.write({ okx: { add: names(1_001), remove: [] } }), { code: "EQ_LIMIT_REACHED" });
  t.equal(file.read().okx?.add.length, 1_000);
});

test("a change that the disk takes only in part is refused, and the file stays as it was", async (t) => {
  const disk = await mountSmallDisk(t, 4);
  if (disk === undefined) return;
  const directory = join(disk.path, "agent");
  await mkdir(directory);
  const file = new SymbolChangesFile(directory);
  const before = { okx: { add: ["A-B"], remove: [] } };
  file.write(before);
  disk.fill(4_096);
  const after = { okx: { add: counting(1, 900).map((n) => `SYMBOL-${n}`), remove: [] } };
  t.throws(() => file.write(after), { code: "EQ_DATA_DIR_UNUSABLE", message: /ENOSPC/ });
  t.same(file.read(), before);
  disk.free();
  file.write(after);
  t.same(file.read(), after);
});

test("a file of changes that was damaged is one clear line at the start", async (t) => {
  const dataDir = await temporaryDirectory(t);
  await writeFile(join(dataDir, "symbols.json"), "{");
  const agent = startAgent(t, dataDir, "mqtt://127.0.0.1:1", "--source", "stdin:");
  t.equal((await agent.exited).code, 2);
  t.match(agent.stderr, /^equipoise-agent: EQ_CONFIG_UNREADABLE: [^\n]*symbols\.json[^\n]*\n$/);
});
