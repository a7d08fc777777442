import { encodeRecord } from "@equipoise/shared";
import { type Test, test } from "tap";
import { type Line, type Program, startProgram } from "../../support/program.ts";
import { type Script, type ScriptedConnection, startScriptedBroker } from "../../support/scripted-broker.ts";
import { gap, topic, trade, tradeJson } from "./fixtures.ts";

async function consuming(t: Test, args: string[], script: Script = {}) {
  const broker = await startScriptedBroker(t, script);
  const program = startProgram(t, "consume", ["--broker", broker.url, "--client-id", "m1", ...args]);
  const wire = await broker.connection();
  await wire.until(() => wire.of("subscribe").length === 1);
  return { program, wire, broker };
}

/** The log, which is on standard error because standard output is data. */
const logged = ({ stderr }: Program): Line[] =>
  stderr
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

const holding = (wire: ScriptedConnection, messages: number): boolean =>
  wire
    .publishedTo("heartbeat/members/m1")
    .some(({ payload }) => JSON.parse(payload.toString()).queueDepth === messages);

test("--format json: each line is the record with who handled it, when, and how late", async (t) => {
  const { program, wire } = await consuming(t, ["--pool", "p", "--count", "2"]);
  t.match(wire.of("subscribe")[0]?.subscriptions, [{ topic: "$share/p/ticks/#" }]);
  wire.deliver(1, topic, tradeJson(1));
  wire.deliver(2, topic, encodeRecord(gap(2)));
  wire.deliver(3, topic, tradeJson(3));
  t.same(await program.exited, { code: 0, signal: null });
  const [first, second, ...more] = program.lines;
  const { member, handledTimeUs, latencyMs, ...record } = first as Line & {
    handledTimeUs: number;
    latencyMs: number;
  };
  t.same(record, trade(1));
  t.equal(member, "m1");
  t.ok(Math.abs(handledTimeUs / 1_000 - Date.now()) < 60_000);
  t.equal(latencyMs, (handledTimeUs - trade(1).receivedTimeUs) / 1_000);
  t.match(second, { ...gap(2), member: "m1" });
  t.notOk("latencyMs" in (second ?? {}));
  t.same(more, [], "--count 2 ends with the second record");
  t.same(wire.acknowledged, [1, 2], "the third goes back to the broker");
  t.match(logged(program), [
    { event: "ready", pool: "p", clientId: "m1", filter: "$share/p/ticks/#" },
    { event: "draining" },
    { event: "ended", handled: 2, repeats: 0, rejected: 0 },
  ]);
});

test("without --pool it is exclusive and shows what is missing between the records", async (t) => {
  const { program, wire } = await consuming(t, ["--count", "2"]);
  t.match(wire.of("subscribe")[0]?.subscriptions, [{ topic: "ticks/#" }]);
  wire.deliver(1, topic, tradeJson(1));
  wire.deliver(2, topic, tradeJson(5));
  t.match(await program.exited, { code: 0 });
  const missing = { type: "missing", topic, epoch: "01J", reason: "hole", count: 3, fromSeq: 2, toSeq: 4 };
  t.match(program.lines, [{ seq: 1 }, missing, { seq: 5 }]);
});

test("SIGTERM finishes and acknowledges what it holds, takes nothing new, and ends with 0", async (t) => {
  const { program, wire } = await consuming(t, ["--pool", "p", "--work-ms", "300"]);
  wire.deliver(1, topic, tradeJson(1));
  wire.deliver(2, topic, tradeJson(2));
  await wire.until(() => holding(wire, 2));
  program.child.kill("SIGTERM");
  t.match(await program.exited, { code: 0 });
  t.match(program.lines, [{ seq: 1 }, { seq: 2 }]);
  t.same(wire.acknowledged, [1, 2]);
  t.equal(wire.of("disconnect").length, 1);
  t.match(logged(program).at(-1), { event: "ended", received: 2, handled: 2 });
});

test("a reader that goes away, as head does, ends it quietly with 0", async (t) => {
  const { program, wire } = await consuming(t, ["--pool", "p"]);
  wire.deliver(1, topic, tradeJson(1));
  await program.line(({ seq }) => seq === 1);
  program.child.stdout.destroy();
  let seq = 1;
  const more = setInterval(() => {
    seq += 1;
    wire.deliver(seq, topic, tradeJson(seq));
  }, 5);
  t.teardown(() => clearInterval(more));
  await wire.closed;
  clearInterval(more);
  t.match(await program.exited, { code: 0 });
  t.match(logged(program).at(-1), { event: "ended" }, "nothing but the log on standard error");
});

test("a broker that refuses the user or the filter ends it with 1 and one line", async (t) => {
  for (const [script, message] of [
    [
      { connectCode: 5 },
      /^equipoise-consume: EQ_BROKER_REFUSED: mqtt:.*: Connection refused: Not authorized \(.*\n$/,
    ],
    [{ subscribeCode: 128 }, /^equipoise-consume: EQ_SUBSCRIBE_REFUSED: ticks\/# at mqtt:.*\n$/],
  ] as const) {
    const broker = await startScriptedBroker(t, script);
    const program = startProgram(t, "consume", ["--broker", broker.url]);
    t.same(await program.exited, { code: 1, signal: null });
    t.match(program.stderr, message);
  }
});

test("a broker that is away is tried again until it is there", async (t) => {
  const away = await startScriptedBroker(t);
  const here = await startScriptedBroker(t);
  await away.stop();
  const program = startProgram(t, "consume", [
    "--broker",
    away.url,
    "--broker",
    here.url,
    "--pool",
    "p",
    "--count",
    "1",
  ]);
  const wire = await here.connection();
  await wire.until(() => wire.of("subscribe").length === 1);
  wire.deliver(1, topic, tradeJson(1));
  t.match(await program.exited, { code: 0 });
  t.match(logged(program), [
    { event: "unreachable", broker: away.url, reason: /ECONNREFUSED/ },
    { event: "ready" },
    { event: "draining" },
    { event: "ended" },
  ]);
});

test("what was typed wrong ends it with 2 and one line", async (t) => {
  const wrong: [string[], RegExp][] = [
    [
      ["--filter", "a/#/b"],
      /EQ_CONFIG_BAD_VALUE: filter is "a\/#\/b", from --filter: has # not alone in its last level/,
    ],
    [["--pool", "a/b"], /EQ_CONFIG_BAD_VALUE: pool is "a\/b", from --pool: must be a name without/],
    [
      ["--broker", "localhost:1883"],
      /EQ_CONFIG_BAD_VALUE: broker\.0 is "localhost:1883", from --broker: must be a URL/,
    ],
    [
      ["--concurrency", "zero"],
      /EQ_CONFIG_BAD_VALUE: concurrency is "zero", from --concurrency: must be an integer from 1/,
    ],
  ];
  const programs = wrong.map(([args]) => startProgram(t, "consume", args));
  for (const [index, program] of programs.entries()) {
    t.same(await program.exited, { code: 2, signal: null });
    t.match(program.stderr, wrong[index]?.[1] ?? /never/);
    t.equal(program.stderr.split("\n").length, 2, "one line");
  }
});

test("--format table shows the newest tick of each stream and the totals", async (t) => {
  const { program, wire } = await consuming(t, ["--pool", "p", "--format", "table", "--count", "3"]);
  wire.deliver(1, topic, tradeJson(1));
  wire.deliver(2, topic, tradeJson(2, { price: "9.5" }));
  wire.deliver(3, "ticks/kraken/XBT-USD/pi-7", tradeJson(1, { venue: "kraken", symbol: "XBT-USD" }));
  t.match(await program.exited, { code: 0 });
  const shown = program.lines.map(({ text }) => text).join("\n");
  t.match(shown, /binance +BTCUSDT +.*9\.5 +0\.02000000/);
  t.match(shown, /kraken +XBT-USD/);
  t.match(shown, /messages 3 · records handled 3 · repeats 0 · rejected 0 · queued 0/);
});
