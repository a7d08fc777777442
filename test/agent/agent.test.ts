import { writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseTopic, type Trade } from "@equipoise/shared";
import Database from "better-sqlite3";
import mqtt from "mqtt";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { startProgram } from "../support/program.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { asOwed, counting, nowhere, startAgent, tradeLine, tradeOf, until } from "./support.ts";

const sample = new URL("../../deploy/demo/sample/spot_btcusdt_20240808.trades.txt.gz", import.meta.url)
  .pathname;

const skipMosquitto = { skip: skipUnless("mosquitto", "mosquitto") };

test(
  "--once delivers a whole recording through a real broker and ends with the counts",
  skipMosquitto,
  async (t) => {
    const mosquitto = await startMosquitto(t, ["max_queued_messages 0"]);
    const reader = await mqtt.connectAsync(mosquitto.url);
    t.teardown(() => reader.endAsync(true));
    const trades: Trade[] = [];
    const last: Trade[] = [];
    const states: string[] = [];
    reader.on("message", (topic, payload) => {
      const { kind } = parseTopic(topic);
      if (kind === "ticks") trades.push(tradeOf(payload));
      else if (kind === "agentHeartbeat") states.push(JSON.parse(payload.toString()).state);
      else last.push(tradeOf(payload));
    });
    await reader.subscribeAsync(["ticks/binance/BTCUSDT/+", "last/#", "heartbeat/agents/pi-7"], { qos: 1 });

    const args = ["--source", `file:${sample}`, "--speed", "max", "--once"];
    const agent = startAgent(t, await temporaryDirectory(t), mosquitto.url, ...args);
    const ended = await agent.event("ended");
    t.equal((await agent.exited).code, 0);
    const all = {
      read: 9_757,
      skipped: 0,
      buffered: 9_757,
      published: 9_757,
      acknowledged: 9_757,
      waiting: 0,
    };
    t.match(ended, { ...all, repeated: 0 });
    t.match(await agent.event("ready"), { agent: "pi-7", sources: [`file:${sample}`], waiting: 0 });
    await until(() => trades.length === 9_757 && states.at(-1) === "down" && last.length > 0);
    const seqs = trades.map(({ seq }) => seq);
    t.same(asOwed(seqs, ended), counting(1, 9_757));
    t.equal(new Set(trades.map(({ epoch }) => epoch)).size, 1);
    t.match(last[0], { symbol: "BTCUSDT", agent: "pi-7" });
  },
);

test("SIGTERM ends it with 0, a last heartbeat, and what nobody took still in the buffer", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.acknowledges = false;
  const dataDir = await temporaryDirectory(t);
  const args = ["--source", "stdin:", "--shutdown-timeout-ms", "5000", "--heartbeat-ms", "100"];
  const agent = startAgent(t, dataDir, broker.url, ...args, "--uplink-window", "2");
  agent.child.stdin.write([1, 2, 3, 4, 5].map((n) => tradeLine(n)).join(""));
  await until(() => broker.ticks.length === 2 && (broker.connections[0]?.statuses.length ?? 0) > 2);
  const [connection] = broker.connections;
  for (const packet of broker.ticks) connection?.acknowledge(packet);
  await until(() => broker.ticks.length === 4);
  t.equal(await agent.stop(), 0);
  t.match(agent.lines.at(-1), { event: "ended", buffered: 5, published: 4, acknowledged: 2, waiting: 3 });

  const heartbeats = (connection?.statuses ?? []).filter(({ topic }) => topic === "heartbeat/agents/pi-7");
  const states = heartbeats.map(({ payload }) => JSON.parse(payload.toString()));
  t.equal(states[0].state, "up");
  t.match(states.at(-2), { state: "draining" });
  t.match(states.at(-1), {
    state: "down",
    agent: "pi-7",
    buffer: { ticks: 3 },
    uplink: { connected: true, broker: broker.url, inFlight: 2, acknowledged: 2, reconnects: 0 },
    sources: [{ spec: "stdin:", state: "ended", ticks: 5, skipped: 0 }],
  });
  t.ok(states.at(-1).buffer.oldestAgeMs >= 0);
  t.ok(states.at(-1).device.residentBytes > 2 ** 20);
  t.ok(heartbeats.every(({ retain }) => !retain));
  t.match(JSON.parse(String(connection?.connect?.will?.payload)), { state: "down", agent: "pi-7" });

  broker.acknowledges = true;
  const next = startAgent(t, dataDir, broker.url, "--source", "stdin:", "--once");
  next.child.stdin.end();
  t.equal((await next.exited).code, 0);
  t.same(
    broker.connections[1]?.ticks.map(({ payload }) => tradeOf(payload).seq),
    [3, 4, 5],
  );
});

test("SIGINT while the broker is away ends it at once with everything kept", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, nowhere, "--source", `file:${sample}`, "--speed", "realtime");
  await agent.line(({ event, buffered }) => event === "progress" && Number(buffered) > 0);
  t.equal(await agent.stop("SIGINT"), 0);
  const ended = agent.lines.at(-1);
  t.match(ended, { event: "ended", acknowledged: 0 });
  t.equal(ended?.buffered, ended?.waiting);
  t.equal(agent.lines.filter(({ code }) => code === "EQ_BROKER_UNREACHABLE").length, 1);
  const db = new Database(join(dataDir, "buffer.db"), { readonly: true });
  t.same(db.prepare("SELECT sum(count) AS n FROM chunk").get(), { n: ended?.buffered });
  db.close();
});

test("one source that breaks off does not take the others with it, and shows in the exit code", async (t) => {
  const broker = await startReceivingBroker(t);
  const dataDir = await temporaryDirectory(t);
  const broken = join(dataDir, "broken.gz");
  await writeFile(broken, "no gzip at all");
  const sources = ["--source", `file:${broken}`, "--source", "stdin:"];
  const agent = startAgent(t, join(dataDir, "data"), broker.url, ...sources, "--once");
  const failed = await agent.event("sourceFailed");
  t.match(failed, { code: "EQ_SOURCE_UNREADABLE", source: `file:${broken}` });
  agent.child.stdin.end(tradeLine(1));
  t.equal((await agent.exited).code, 1);
  t.match(agent.lines.at(-1), { event: "ended", read: 1, acknowledged: 1 });
});

test("the pace of recorded files may be a number in a configuration file", async (t) => {
  const directory = await temporaryDirectory(t);
  const config = join(directory, "agent.yaml");
  writeFileSync(config, "speed: 2.5\n");
  const agent = startProgram(t, "agent", ["--config", config, "--print-config"]);
  await agent.exited;
  t.ok(agent.lines.some(({ text }) => String(text).startsWith('speed: "2.5" # file')));
});

test("what the user got wrong is one clear line and exit code 2; what is missing is 1", async (t) => {
  const directory = await temporaryDirectory(t);
  const cases: [string[], number, RegExp][] = [
    [[], 2, /EQ_USAGE: no source/],
    [["--source", "nonsense"], 2, /EQ_CONFIG_BAD_VALUE: source\.0 is "nonsense".*must be file:/],
    [["--source", "stdin:", "--speed", "fast"], 2, /EQ_CONFIG_BAD_VALUE: speed is "fast"/],
    [["--source", "stdin:", "--broker", "localhost"], 2, /EQ_CONFIG_BAD_VALUE: broker\.0/],
    [
      ["--source", "stdin:", "--uplink-password", "p"],
      2,
      /EQ_CONFIG_BAD_VALUE: there is a password without a/,
    ],
    [
      ["--source", "stdin:", "--broker", "mqtt://:p@h"],
      2,
      /broker\.0 is "mqtt:\/\/:\*\*\*@h".*without a user name/,
    ],
    [["--source", `file:${directory}/a, b.txt`], 1, /EQ_SOURCE_UNREADABLE: .*\/a, b\.txt: ENOENT/],
  ];
  const runs = cases.map(async ([args, code, message]) => {
    const agent = startProgram(t, "agent", ["--data-dir", join(directory, "data"), ...args]);
    t.equal((await agent.exited).code, code, args.join(" "));
    t.match(agent.stderr, message);
    t.equal(agent.stderr.trimEnd().split("\n").length, 1, "one line");
  });
  await Promise.all(runs);
});
