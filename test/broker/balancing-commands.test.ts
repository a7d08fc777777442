import { test } from "tap";
import { declared, startBroker, type TestBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { operate } from "../support/operate.ts";
import type { Line } from "../support/program.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests look into reports of every kind
const poolsOf = ({ dataDir }: TestBroker): any[] =>
  JSON.parse(operate(dataDir, "pools", "--json").stdout).pools;
test("pools explain tells who was picked against whom, and why others were left out", async (t) => {
  const broker = await startBroker(t, { args: declared({ strategy: "least_connections" }) });
  const [a, b] = [
    await MqttClient.connect(t, broker.port, "a"),
    await MqttClient.connect(t, broker.port, "b"),
  ];
  for (const client of [a, b]) await client.subscribe("$share/p/ticks/#");
  t.equal(operate(broker.dataDir, "pools", "explain", "p").stdout, "no choices yet\n");
  const publisher = await MqttClient.connect(t, broker.port, "publisher");
  await publisher.publish("ticks/one", "1");
  t.match(
    operate(broker.dataDir, "pools", "explain", "p").stdout,
    /^[\d:.]+ {2}ticks\/one, 1 waiting: [ab] .*\(0\/16\) against [ab] .*\(0\/16\)\n$/,
  );
  t.equal(operate(broker.dataDir, "pools", "tune", "p", "--member", "a=UNHEALTHY").status, 0);
  await publisher.publish("ticks/two", "2");
  const decisions = JSON.parse(operate(broker.dataDir, "pools", "explain", "p", "--json").stdout);
  t.match(decisions, [
    {
      topic: "ticks/one",
      weighed: [
        { clientId: "a", score: 0 },
        { clientId: "b", score: 0 },
      ],
      leftOut: [],
    },
    {
      topic: "ticks/two",
      picked: "b",
      leftOut: [{ clientId: "a", reason: "UNHEALTHY: set by the operator" }],
    },
  ]);
});

test("pools tune changes strategy, health, weights and members of a running pool, and takes them back", async (t) => {
  const broker = await startBroker(t, { args: declared({ weights: { b: 3 } }) });
  const tune = (...args: string[]) => operate(broker.dataDir, "pools", "tune", "p", ...args);
  const [a, b] = [
    await MqttClient.connect(t, broker.port, "a"),
    await MqttClient.connect(t, broker.port, "b"),
  ];
  for (const client of [a, b]) await client.subscribe("$share/p/ticks/#");
  t.same(tune("--strategy", "weighted", "--health", "basic", "--weight", "a=2.5"), {
    status: 0,
    stdout: "",
    stderr: "",
  });
  await broker.program.line(
    ({ event, strategy, health }) => event === "pool.tuned" && strategy === "weighted" && health === "basic",
  );
  const weights = () =>
    poolsOf(broker)[0].memberReports.map((report: Line) => [report.clientId, report.weight]);
  t.match(poolsOf(broker), [{ strategy: "weighted", health: "basic" }]);
  t.same(weights(), [
    ["a", 2.5],
    ["b", 3],
  ]);
  tune("--weight", "a=", "--member", "b=UNHEALTHY");
  t.same(
    weights(),
    [
      ["a", 1],
      ["b", 3],
    ],
    "what is not named stays",
  );
  const publisher = await MqttClient.connect(t, broker.port, "publisher");
  for (let number = 0; number < 6; number++) await publisher.publish("ticks/a", `m${number}`);
  t.equal((await a.settle()).length, 6);
  t.same(await b.settle(), []);
  t.match(poolsOf(broker)[0].memberReports[1], { health: "UNHEALTHY", healthReason: "set by the operator" });
  tune("--member", "b=HEALTHY");
  for (let number = 0; number < 4; number++) await publisher.publish("ticks/a", `n${number}`);
  t.equal((await b.settle()).length, 3, "three of four, by its weight");
});

test("a wrong question is answered in one line: exit code 2 when nobody was asked, 1 when the broker refuses", async (t) => {
  const broker = await startBroker(t, { args: declared() });
  const cases: [args: string[], status: number, message: RegExp][] = [
    [["explain"], 2, /EQ_USAGE.*NAME/],
    [["frobnicate", "p"], 2, /EQ_USAGE.*frobnicate.*explain, tune, delete/],
    [["tune", "p"], 2, /EQ_USAGE.*nothing to tune/],
    [["tune", "p", "--weight", "m1"], 2, /EQ_USAGE.*--weight m1.*CLIENT=VALUE/],
    [["tune", "p", "--weight", "m1=heavy"], 2, /EQ_USAGE.*m?.*heavy.*number/],
    [["tune", "p", "--strategy", "fastest"], 1, /EQ_CONTROL_REFUSED.*round_robin/],
    [["tune", "p", "--member", "m1=SICK"], 1, /EQ_CONTROL_REFUSED.*UNHEALTHY/],
    [["tune", "nobody", "--health", "basic"], 1, /EQ_CONTROL_REFUSED.*nobody/],
    [["explain", "nobody"], 1, /EQ_CONTROL_REFUSED.*nobody/],
  ];
  for (const [args, status, message] of cases) {
    const answer = operate(broker.dataDir, "pools", ...args);
    t.equal(answer.status, status, args.join(" "));
    t.match(answer.stderr, message);
    t.equal(answer.stderr.trim().split("\n").length, 1, answer.stderr);
  }
  t.match(poolsOf(broker), [{ strategy: "performance_based", health: "advanced" }], "nothing was changed");
});
