import { test } from "tap";
import { ControlClient } from "../../../shared/src/index.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { until } from "../../support/time.ts";
import { join, left, publishAll, receiveAll, skip, startMember, startTwo, topic } from "./brokers.ts";

test("a message published on one broker goes to a member on another", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const member = await join(t, b.port, "member");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  for (let n = 0; n < 5; n++) {
    await publisher.publish(topic, `tick ${n}`);
    t.equal(await member.receive(), `tick ${n}`);
  }
  await until(async () => (await left(redis)) === "0 entries, 0 bytes");
});

test("members on two brokers share a pool, each message goes to one of them", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const members = [await join(t, a.port, "on-a"), await join(t, b.port, "on-b")];
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  const [received] = await Promise.all([receiveAll(members, 500), publishAll(publisher, 500)]);
  t.ok([...received.values()].every((count) => count === 1));
  await until(async () => (await left(redis)) === "0 entries, 0 bytes");
});

test("a broker takes only what its members have credit for", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  const mute = await join(t, a.port, "mute");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publishAll(publisher, 1_000);
  const held = (await mute.settle()).length;
  const other = await join(t, b.port, "other");
  const taken = new Set<string>();
  while (taken.size < 1_000 - held - 32) taken.add(await other.receive());
  t.ok(held <= 32, `the broker of the mute member took ${held} messages and at most an entry more`);
});

test("a pool that nobody declared is known to all brokers within a second", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  const member = await MqttClient.connect(t, b.port, "member");
  await member.subscribe("$share/found/other/#");
  await a.program.line(({ event, pool }) => event === "pool.created" && pool === "found");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish("other/x", "hello");
  t.equal(await member.receive(), "hello");
});

test("failed attempts are counted across brokers, dead letters are seen by all", { skip }, async (t) => {
  const { a, b } = await startTwo(t, { maxDeliveries: 2 });
  const first = await join(t, a.port, "first");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish(topic, "poison");
  await first.next("publish");
  first.drop();
  const second = await join(t, b.port, "second");
  const { messageId } = await second.next("publish");
  second.sendPublish("members/second/reject", JSON.stringify({ packetId: messageId, reason: "bad" }));
  const dead = await b.program.event("delivery.dead");
  t.match(dead, { pool: "p", attempts: 2, reason: "bad" });
  const list = await new ControlClient("broker", { "data-dir": a.dataDir }, {}).ask<object>("GET", "/dead/p");
  t.match(list, [{ topic, payload: "poison", attempts: 2 }]);
});

test("what is tuned on one broker holds on all, also on one that starts later", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const control = new ControlClient("broker", { "data-dir": a.dataDir }, {});
  await control.ask("POST", "/pools/p/tune", { strategy: "round_robin", members: { m: "UNHEALTHY" } });
  await b.program.line(({ event, strategy }) => event === "pool.tuned" && strategy === "round_robin");
  const c = await startMember(t, redis.url, "c");
  const status = await new ControlClient("broker", { "data-dir": c.dataDir }, {}).ask<object>(
    "GET",
    "/pools",
  );
  t.match(status, { pools: [{ name: "p", strategy: "round_robin" }] });
});
