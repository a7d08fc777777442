import { test } from "tap";
import { startBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { operate } from "../support/operate.ts";
import { type Line, startProgram } from "../support/program.ts";

test("rules balance pools by the pattern of their name or by their topics; the first that fits, after what a pool says itself", async (t) => {
  const rules = [
    { pools: ["risk-*", "exact"], strategy: "round_robin", health: "basic" },
    { topics: ["ticks/+/BTCUSDT/#", "last/#"], strategy: "weighted" },
    { topics: ["ticks/#"], strategy: "key_affinity" },
  ];
  const pools = [
    { name: "risk-own", filters: ["a/#"], strategy: "least_connections" },
    { name: "signals", filters: ["last/a", "ticks/x/BTCUSDT/y"] },
    { name: "mixed", filters: ["last/a", "b/#"] },
  ];
  const args = ["--routing", JSON.stringify(rules), "--pools", JSON.stringify(pools)];
  const broker = await startBroker(t, { args });
  const member = await MqttClient.connect(t, broker.port, "member");
  for (const share of ["risk-eu/b/#", "exact/ticks/#", "quotes/ticks/#", "btc/ticks/v/BTCUSDT/+", "all/#"]) {
    await member.subscribe(`$share/${share}`);
  }
  const balanced = (JSON.parse(operate(broker.dataDir, "pools", "--json").stdout).pools as Line[]).map(
    ({ name, strategy, health, ordering }) => [name, strategy, health, ordering],
  );
  t.same(balanced.toSorted(), [
    ["all", "performance_based", "advanced", "none"],
    ["btc", "weighted", "advanced", "none"],
    ["exact", "round_robin", "basic", "none"],
    ["mixed", "performance_based", "advanced", "none"],
    ["quotes", "key_affinity", "advanced", "key"],
    ["risk-eu", "round_robin", "basic", "none"],
    ["risk-own", "least_connections", "basic", "none"],
    ["signals", "weighted", "advanced", "none"],
  ]);
});

test("a rule or a pool that cannot be is refused in one line, with exit code 2", async (t) => {
  for (const [flag, value, named] of [
    ["--routing", [{ strategy: "weighted" }], /routing.*needs pools or topics/],
    ["--routing", [{ pools: ["p"], strategy: "fastest" }], /routing.*strategy/],
    ["--routing", [{ topics: ["a/#/b"] }], /routing.*topic filter/],
    ["--routing", [{ pools: ["p"], weights: { m: -1 } }], /routing.*weights/],
    ["--pools", [{ name: "p", filters: ["a"], fallback: { afterMs: 5 } }], /pools.*fallback/],
    ["--pools", [{ name: "p", filters: ["a"], health: "good" }], /pools.*health/],
  ] as const) {
    const program = startProgram(t, "broker", [
      flag,
      JSON.stringify(value),
      "--listen",
      "mqtt://127.0.0.1:0",
    ]);
    t.equal((await program.exited).code, 2, JSON.stringify(value));
    t.match(program.stderr, /EQ_CONFIG_BAD_VALUE/);
    t.match(program.stderr, named);
    t.equal(program.stderr.trim().split("\n").length, 1, program.stderr);
  }
});
