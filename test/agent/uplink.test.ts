import { test } from "tap";
import { Window } from "../../agent/src/uplink/window.ts";
import { startBroker } from "../support/broker.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { counting, FakeClock, until } from "./support.ts";
import { startUplink, stream, Ticks, tick } from "./uplink-support.ts";

const positions = (packets: readonly { payload: string | Buffer }[]): number[] =>
  packets.map(({ payload }) => Number(payload.toString()));

test("ticks go out in order, QoS 1, and are settled when they are acknowledged", async (t) => {
  const broker = await startReceivingBroker(t);
  const queue = new Ticks(1_000);
  const { uplink } = startUplink(t, [broker.url], queue);
  await uplink.drained();
  t.equal(queue.settled, 1_000);
  t.same(positions(broker.ticks), counting(1, 1_000));
  t.match(broker.ticks[0], { topic: stream.topic, qos: 1, dup: false, retain: false });
  t.match(broker.connections[0]?.connect, {
    clientId: "pi-7",
    clean: true,
    will: { topic: "heartbeat/agents/pi-7", payload: Buffer.from('{"state":"down"}'), retain: false },
  });
  t.match(uplink.stats(), {
    connected: true,
    published: 1_000,
    repeated: 0,
    acknowledged: 1_000,
    inFlight: 0,
  });
});

test("no more than the window is in flight, and what is acknowledged out of order is not settled early", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.acknowledges = false;
  const queue = new Ticks(100);
  const { uplink } = startUplink(t, [broker.url], queue);
  await until(() => broker.ticks.length === 10);
  const [connection] = broker.connections;
  const [first, second] = broker.ticks;
  if (connection === undefined || first === undefined || second === undefined) throw new Error("unreachable");
  connection.acknowledge(second);
  await until(() => uplink.stats().acknowledged === 1);
  t.equal(queue.settled, 0);
  t.equal(uplink.stats().inFlight, 10);
  connection.acknowledge(first);
  await until(() => broker.ticks.length === 12);
  t.equal(queue.settled, 2);
  t.same(positions(broker.ticks), counting(1, 12));
});

test("what is to be sent once the uplink has stopped, or while it stops, fails at once", async (t) => {
  const broker = await startReceivingBroker(t);
  const { uplink } = startUplink(t, [broker.url], new Ticks(1));
  await uplink.drained();
  broker.acknowledges = false;
  const lost = { code: "EQ_BROKER_UNREACHABLE" };
  const waiting = t.rejects(uplink.send("replies/desk", "before"), lost);
  const stopping = uplink.stop();
  await t.rejects(uplink.send("replies/desk", "meanwhile"), lost);
  await stopping;
  await waiting;
  await t.rejects(uplink.send("replies/desk", "afterwards"), lost);
});

test("over any number of lost connections nothing is lost, and each begins with the oldest unacknowledged", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.dropAfter = 137;
  const queue = new Ticks(2_000);
  const { uplink } = startUplink(t, [broker.url], queue);
  await uplink.drained();
  t.ok(broker.connections.length > 10);
  let seen = 0;
  for (const { ticks } of broker.connections) {
    const got = positions(ticks);
    const from = got[0] ?? seen + 1;
    if (from > seen + 1) t.fail(`a connection began with ${from} after ${seen}`);
    t.same(got, counting(from, from + got.length - 1), "in order without holes");
    seen = Math.max(seen, got.at(-1) ?? 0);
  }
  t.equal(seen, 2_000);
  t.equal(queue.settled, 2_000);
  t.ok(
    broker.ticks.every(({ dup }) => dup === false),
    "a new session has no duplicates of another [MQTT-3.3.1-1]",
  );
  const { published, repeated, reconnects } = uplink.stats();
  t.equal(published, 2_000, "repeats are counted apart");
  t.ok(repeated >= broker.ticks.length - 2_000);
  t.equal(reconnects, broker.connections.length - 1);
});

test("while the broker is away one line says so, and the uplink goes on by itself when it is back", async (t) => {
  const broker = await startReceivingBroker(t);
  const queue = new Ticks(5);
  let failures = 0;
  const random = (): number => {
    failures += 1; // asked for once after every failed attempt
    return 0.01;
  };
  const { uplink, lines } = startUplink(t, [broker.url], queue, { random });
  await uplink.drained();
  await broker.stop();
  await until(() => !uplink.stats().connected);
  queue.add(5);
  await until(() => failures >= 5);
  t.equal(queue.settled, 5);
  await broker.start();
  await uplink.drained();
  t.equal(queue.settled, 10);
  t.same(positions(broker.ticks), counting(1, 10));
  t.same(
    lines.map(({ event, code }) => [event, code]),
    [
      ["connected", undefined],
      ["disconnected", "EQ_BROKER_UNREACHABLE"],
      ["connected", undefined],
    ],
  );
});

test("of several brokers the next one is tried when one is away", async (t) => {
  const away = await startReceivingBroker(t);
  await away.stop();
  const broker = await startReceivingBroker(t);
  const { uplink, lines } = startUplink(
    t,
    [away.url.replace("//", "//me:secret@"), broker.url],
    new Ticks(3),
    {
      random: () => 0.99, // leaves the brokers in their order
    },
  );
  await uplink.drained();
  t.equal(uplink.stats().broker, broker.url);
  t.match(lines[0], { event: "disconnected", broker: away.url });
  t.notMatch(JSON.stringify(lines), /secret/);
});

test("when good connections are lost again and again, a second client with the id is suspected", async (t) => {
  const broker = await startBroker(t, { args: ["--durability", "memory"] });
  const twins = [startUplink(t, [broker.url], new Ticks(1)), startUplink(t, [broker.url], new Ticks(1))];
  const reasons = (): string[] =>
    twins
      .flatMap(({ lines }) => lines)
      .flatMap(({ event, reason }) => (event === "disconnected" ? String(reason) : []));
  await until(() => reasons().some((reason) => /does a second client use the id pi-7\?$/.test(reason)));
  t.notMatch(reasons()[0], /second client/, "once is no habit");
});

test("a broker that refuses is reported as that, and tried again", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.connectCode = 5;
  const { uplink, lines } = startUplink(t, [broker.url], new Ticks(3), { username: "u", password: "p" });
  await until(() => broker.connections.length >= 3);
  t.match(broker.connections[0]?.connect, { username: "u", password: Buffer.from("p") });
  broker.connectCode = 0;
  await uplink.drained();
  t.same(
    lines.map(({ event, code }) => [event, code]),
    [
      ["disconnected", "EQ_BROKER_REFUSED"],
      ["connected", undefined],
    ],
  );
});

test("the newest trade is retained under its own topic", async (t) => {
  const broker = await startReceivingBroker(t);
  const queue = new Ticks(3);
  const { uplink, stop } = startUplink(t, [broker.url], queue);
  await uplink.drained();
  queue.newest = [tick(3)];
  await uplink.drain(60_000);
  await stop();
  await until(() => broker.connections[0]?.saidGoodbye === true);
  t.match(broker.connections[0]?.statuses, [
    { topic: stream.lastTopic, retain: true, payload: Buffer.from("3") },
  ]);
});

test("the newest trade is told once a second, before a backlog that nobody acknowledges yet", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.acknowledges = false;
  const queue = new Ticks(100_000);
  const clock = new FakeClock();
  startUplink(t, [broker.url], queue, { clock });
  await until(() => broker.ticks.length === 10);
  const told = () =>
    (broker.connections[0]?.statuses ?? [])
      .filter(({ topic }) => topic === stream.lastTopic)
      .map(({ payload }) => payload.toString());
  for (const position of [100_000, 100_001, 100_002]) {
    queue.newest = [tick(position)];
    clock.advance(400);
  }
  queue.newest = [tick(100_003)];
  clock.advance(1_000);
  await until(() => told().length === 2);
  t.same(told(), ["100002", "100003"]);
});

test("a broker that acknowledges ticks is alive, even if it answers no ping", async (t) => {
  const broker = await startReceivingBroker(t); // it answers none
  const keepaliveS = 1;
  const queue = new Ticks(1);
  const { uplink } = startUplink(t, [broker.url], queue, { keepaliveS });
  await uplink.drained();
  const fromMs = performance.now();
  while (performance.now() - fromMs < 2_500 * keepaliveS) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    queue.add(1);
    await uplink.drained();
  }
  t.equal(broker.connections.length, 1);
  await until(() => broker.connections.length === 2);
  t.pass("without ticks it is left");
});

test("a stop waits for what is in flight, but not longer than it may", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.acknowledges = false;
  const queue = new Ticks(20);
  const { uplink, stop } = startUplink(t, [broker.url], queue);
  await until(() => broker.ticks.length === 10);
  const draining = uplink.drain(60_000);
  for (const packet of broker.ticks) broker.connections[0]?.acknowledge(packet);
  await draining;
  t.equal(queue.settled, 10);
  t.equal(broker.ticks.length, 10, "nothing new was taken");
  await stop();

  const stalled = startUplink(t, [broker.url], new Ticks(1));
  await until(() => broker.ticks.length === 11);
  await stalled.uplink.drain(20);
  await stalled.stop();
  await until(() => broker.connections[1]?.saidGoodbye === true);
});

test("a window keeps its order through every pattern of acknowledgements", async (t) => {
  const window = new Window();
  const entries = counting(1, 50).map((position) => window.add(tick(position)));
  let settled = 0;
  for (const index of [3, 1, 0, 2, ...counting(10, 49)]) {
    settled = window.acknowledge(entries[index] as (typeof entries)[0]) ?? settled;
  }
  t.equal(settled, 4);
  t.equal(window.size, 46);
  t.equal(window.oldest()?.position, 5);
});

test("ticks follow the answer to what is subscribed, so that whoever has one can ask, and go without it after a second", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.grants = false;
  const clock = new FakeClock();
  let announced = 0;
  const connected = () => {
    announced += 1;
  };
  const { uplink } = startUplink(t, [broker.url], new Ticks(3), { clock, connected });
  uplink.subscribe("agents/pi-7/requests/+", () => {});
  await until(() => broker.connections[0]?.subscribes.length === 1);
  const [first] = broker.connections;
  if (first?.subscribes[0] === undefined) throw new Error("unreachable");
  await uplink.send("replies/desk/1", "beside the ticks");
  t.same([first.ticks.length, announced], [1, 0]);
  first.grant(first.subscribes[0]);
  await uplink.drained();
  t.same([first.ticks.length, announced], [4, 1]);
  first.drop();
  await until(() => !uplink.stats().connected);
  await until(() => {
    clock.advance(100);
    return announced === 2;
  });
  t.equal(broker.connections[1]?.subscribes.length, 1);
});
