import { test } from "tap";
import { startBroker, type TestBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { operate } from "../support/operate.ts";
import type { Line } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";

const pools = (afterMs: number) =>
  JSON.stringify([
    { name: "main", filters: ["ticks/#"], fallback: { pool: "overflow", afterMs } },
    { name: "overflow", filters: ["other/#"] },
  ]);
const inMain = "$share/main/ticks/#";
const inOverflow = "$share/overflow/other/#";

const happened = (broker: TestBroker, event: string, fields: Line = {}): Promise<Line> =>
  broker.program.line((line) =>
    Object.entries({ event, ...fields }).every(([field, value]) => line[field] === value),
  );

// biome-ignore lint/suspicious/noExplicitAny: tests look into reports of every kind
const poolOf = ({ dataDir }: TestBroker, name: string): any =>
  JSON.parse(operate(dataDir, "pools", "--json").stdout).pools.find((pool: Line) => pool.name === name);

async function start(t: Teardown, afterMs: number) {
  const broker = await startBroker(t, { args: ["--pools", pools(afterMs)] });
  const publisher = await MqttClient.connect(t, broker.port, "publisher");
  const join = async (clientId: string, ...filters: string[]): Promise<MqttClient> => {
    const client = await MqttClient.connect(t, broker.port, clientId);
    for (const filter of filters) await client.subscribe(filter);
    return client;
  };
  return { broker, publisher, join };
}

test("messages of a pool go to its fallback's members once it has had no member for long enough", async (t) => {
  const { broker, publisher, join } = await start(t, 600);
  const own = await join("own", inMain);
  const helper = await join("helper", inOverflow);
  await publisher.publish("ticks/a", "first");
  t.equal(await own.receive(), "first");
  const beforeMs = performance.now();
  await own.disconnect();
  await publisher.publish("ticks/a", "second");
  t.equal(await helper.receive(), "second");
  t.ok(performance.now() - beforeMs >= 500, `after ${performance.now() - beforeMs} ms`);
  t.match(await happened(broker, "pool.lent"), { pool: "main", fallback: "overflow", members: 1 });
  await publisher.publish("other/a", "of its own pool");
  t.equal(await helper.receive(), "of its own pool");
  t.match(poolOf(broker, "main"), { members: 0, memberReports: [{ clientId: "helper", guest: true }] });
});

test("without anybody in the fallback messages wait for its first member", async (t) => {
  const { publisher, join } = await start(t, 0);
  for (const text of ["one", "two"]) await publisher.publish("ticks/a", text);
  const helper = await join("helper", inOverflow);
  t.same([await helper.receive(), await helper.receive()], ["one", "two"]);
});

test("guests go home when a member comes, and finish what they hold", async (t) => {
  const { broker, publisher, join } = await start(t, 0);
  const helper = await join("helper", inOverflow);
  await happened(broker, "pool.lent");
  for (const text of ["one", "two"]) await publisher.publish("ticks/a", text);
  const [one, two] = [await helper.next("publish"), await helper.next("publish")];
  const own = await join("own", inMain);
  await happened(broker, "pool.returned", { pool: "main" });
  for (let number = 0; number < 10; number++) await publisher.publish("ticks/a", `m${number}`);
  for (let number = 0; number < 10; number++) t.equal(await own.receive(), `m${number}`);
  for (const { messageId } of [one, two]) helper.puback(messageId);
  t.same(await helper.settle(), [], "nothing new for who has gone home");
  t.same(await own.settle(), []);
  t.match(poolOf(broker, "main"), {
    settled: 12,
    redelivered: 0,
    members: 1,
    memberReports: [{ guest: false }],
  });
});

test("what a guest that went home held is not lost with its connection", async (t) => {
  const { broker, publisher, join } = await start(t, 0);
  const helper = await join("helper", inOverflow);
  await happened(broker, "pool.lent");
  await publisher.publish("ticks/a", "held");
  await helper.next("publish");
  const own = await join("own", inMain);
  await happened(broker, "pool.returned", { pool: "main" });
  helper.drop();
  t.equal(await own.receive(), "held");
});

test("who leaves the fallback is no guest any more, and another one takes over", async (t) => {
  const { broker, publisher, join } = await start(t, 0);
  const helper = await join("helper", inOverflow);
  await happened(broker, "pool.lent");
  await helper.unsubscribe(inOverflow);
  await publisher.publish("ticks/a", "text");
  t.same(await helper.settle(), []);
  const other = await join("other", inOverflow);
  t.equal(await other.receive(), "text");
});

test("a member of both pools goes on in the one after it was a guest there", async (t) => {
  const { broker, publisher, join } = await start(t, 0);
  const both = await join("both", inOverflow);
  await happened(broker, "pool.lent");
  await publisher.publish("ticks/a", "as a guest");
  await both.next("publish");
  await both.subscribe(inMain);
  await publisher.publish("ticks/a", "as a member");
  t.equal(await both.receive(), "as a member");
  t.match(poolOf(broker, "main"), { members: 1, memberReports: [{ clientId: "both", guest: false }] });
});

test("a draining member is not lent", async (t) => {
  const { broker, publisher, join } = await start(t, 0);
  const own = await join("own", inMain);
  const draining = await join("draining", inOverflow);
  await draining.publish("heartbeat/members/draining", '{"state":"draining"}');
  await own.disconnect();
  await publisher.publish("ticks/a", "text");
  const helper = await join("helper", inOverflow);
  t.equal(await helper.receive(), "text");
  t.same(await draining.settle(), []);
  t.match(poolOf(broker, "main").memberReports, [{ clientId: "helper" }]);
});

test("what guests work on is not thrown away as abandoned", async (t) => {
  const said = { name: "main", filters: ["ticks/#"], retainWhenEmptyMs: 300 };
  const fallback = { fallback: { pool: "overflow", afterMs: 0 } };
  const declared = [
    { ...said, ...fallback },
    { name: "overflow", filters: ["other/#"] },
  ];
  const broker = await startBroker(t, { args: ["--pools", JSON.stringify(declared)] });
  const helper = await MqttClient.connect(t, broker.port, "helper");
  await helper.subscribe(inOverflow);
  await happened(broker, "pool.lent");
  const publisher = await MqttClient.connect(t, broker.port, "publisher");
  for (let number = 0; number < 40; number++) await publisher.publish("ticks/a", `m${number}`);
  t.equal((await helper.settle()).length, 16, "the rest waits");
  // It looks for what is abandoned as often as it sends its heartbeat.
  const watcher = await MqttClient.connect(t, broker.port, "watcher");
  await watcher.subscribe("heartbeat/brokers/+", 0);
  for (let beats = 0; beats < 4; beats++) await watcher.next("publish");
  for (let number = 0; number < 40; number++) t.equal(await helper.receive(), `m${number}`);
  t.match(poolOf(broker, "main"), { dropped: 0 });
});
