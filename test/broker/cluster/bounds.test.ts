import { type Test, test } from "tap";
import type { TestBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli, startRedis } from "../../support/redis.ts";
import { pause } from "../../support/time.ts";
import { hears, join, receiveAll, skip, startMember, startTwo, topic } from "./brokers.ts";

test("a full pool holds publishers back on every broker", { skip }, async (t) => {
  const { a, b } = await startTwo(t, { maxBacklogBytes: 20_000 });
  const size = 1_000;
  const first = await MqttClient.connect(t, a.port, "publisher-a");
  for (let n = 0; n < 40; n++) first.sendPublish(topic, `a ${n}`.padEnd(size));
  await a.program.event("pool.pressed");
  await b.program.event("pool.pressed");
  const second = await MqttClient.connect(t, b.port, "publisher-b");
  second.sendPublish(topic, "b");
  await t.rejects(second.next("puback", 500), "no PUBACK while the pool is full");
  const member = await join(t, b.port, "member");
  t.equal((await receiveAll([member], 41)).size, 41);
  await second.next("puback");
});

test("a full pool that nobody declared drops its oldest messages", { skip }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--undeclared-pools-max-backlog-bytes", "20000"];
  const a = await startMember(t, redis.url, "a", { args });
  const member = await MqttClient.connect(t, a.port, "member");
  await member.subscribe("$share/x/other/#");
  member.drop();
  await a.program.event("pool.left");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  for (let n = 0; n < 40; n++) await publisher.publish("other/x", `${n}`.padEnd(1_000));
  await a.program.event("pool.dropped");
  const again = await MqttClient.connect(t, a.port, "member");
  await again.subscribe("$share/x/other/#");
  const received = [Number(await again.receive()), Number(await again.receive())];
  // The broker may have been waiting for one entry when the member left; what it has taken is not dropped.
  const first = received.find((number) => number > 0) ?? 0;
  t.ok(first > 15 && first < 25, `the first that is left is ${first}`);
});

for (const removeAfterMs of [0, 2_000]) {
  const name = `an undeclared pool goes some time after its last member on any broker, with removeAfterMs ${removeAfterMs}, too`;
  test(name, { skip }, (t) => outlives(t, removeAfterMs));
}

async function outlives(t: Test, removeAfterMs: number): Promise<void> {
  const redis = await startRedis(t);
  const args = ["--undeclared-pools-remove-after-ms", String(removeAfterMs)];
  const [a, b] = await Promise.all(["a", "b"].map((id) => startMember(t, redis.url, id, { args })));
  const member = await MqttClient.connect(t, (a as TestBroker).port, "member");
  await member.subscribe("$share/x/other/#");
  const removed = (b as TestBroker).program.event("pool.removed");
  t.equal(await Promise.race([removed, pause(3_000)]), undefined, "not while a member is on the other one");
  member.drop();
  await removed;
}

test("a member that joins keeps a pool from ending at once, and brings back one that has just ended", {
  skip,
}, async (t) => {
  const redis = await startRedis(t);
  const a = await startMember(t, redis.url, "a");
  const member = await MqttClient.connect(t, a.port, "member");
  await member.subscribe("$share/x/other/#");
  await member.unsubscribe("$share/x/other/#");
  const taken = ["equipoise:{default}:taken", "x/other/#"] as const;
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish("other/x", "0");
  // Nor does it ask for the queues there are just now.
  await hears(redis, "a");
  cli(redis, "HDEL", "equipoise:{default}:registry", taken[1]);
  // Not as long ago as it takes to end: the broker may look just now.
  const longAgo = Math.floor(Date.now() / 1_000) - 100;
  cli(redis, "ZADD", taken[0], String(longAgo), taken[1]);
  await member.subscribe("$share/x/other/#");
  await publisher.publish("other/x", "1");
  t.same([await member.receive(), await member.receive()], ["0", "1"]);
  t.ok(Number(cli(redis, "ZSCORE", ...taken)) > longAgo);
});
