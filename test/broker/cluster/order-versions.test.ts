import { test } from "tap";
import { declared } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli, startRedis } from "../../support/redis.ts";
import { pause, until } from "../../support/time.ts";
import { join, skip, startMember, startTwo, topic } from "./brokers.ts";
import { firstReceived, leftInShards, names, publishKeys } from "./ordered.ts";

test("an entry of a newer version is left alone, and so is what comes after it in its shard", {
  skip,
}, async (t) => {
  const { redis, a } = await startTwo(t, { ordering: "key" });
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publishKeys(publisher, 40, 1);
  const shard = Array.from({ length: 16 }, (_, n) => names.shard(n)).find(
    (key) => cli(redis, "XLEN", key) !== "0",
  );
  const newer = cli(redis, "XADD", shard as string, "*", "m", "\u0002??");
  await publishKeys(publisher, 40, 1, 1);
  const member = await join(t, a.port, "member");
  const before: string[] = [];
  const others = Array.from({ length: 16 }, (_, n) => names.shard(n)).filter((key) => key !== shard);
  const rest = (): boolean => others.every((key) => cli(redis, "XLEN", key) === "0");
  await until(async () => {
    const text = await member.receive(200).catch(() => undefined);
    if (text !== undefined) before.push(text);
    return text === undefined && rest();
  });
  await a.program.event("entry.unknown");
  t.ok(before.length > 40 && before.length < 80, `${before.length} of 80 came`);
  t.equal(cli(redis, "XRANGE", shard as string, newer, newer) !== "", true, "it is still there");
  cli(redis, "XDEL", shard as string, newer);
  t.equal((await firstReceived([member], 80, before)).length, 80, "what waited goes on");
});

test("a queue that is divided in a way that a broker does not know is left to others", {
  skip,
}, async (t) => {
  const redis = await startRedis(t);
  const newer = "99/256/hour";
  cli(
    redis,
    "HSET",
    names.registry,
    "p/ticks/#",
    JSON.stringify({ declared: null, dropAtBytes: null, layout: newer }),
  );
  cli(redis, "HSET", names.layouts, "p/ticks/#", newer);
  cli(redis, "HSET", names.state, "messages", "1");
  const a = await startMember(t, redis.url, "a", { args: declared({ ordering: "key" }) });
  t.match(await a.program.event("pool.foreign"), { pool: "p", filter: "ticks/#" });
  const member = await join(t, a.port, "member");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  publisher.sendPublish(topic, "hello");
  await publisher.closed;
  t.match(await a.program.event("journal.failed"), { code: "EQ_QUEUE_LAYOUT" });
  t.same(await member.settle(), [], "nothing is taken");
  const other = await MqttClient.connect(t, a.port, "other");
  await other.publish("elsewhere", "the broker works for all other queues");
});

test("the order of a pool stays as it is while its queue holds messages", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t, { ordering: "key" });
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publishKeys(publisher, 4, 2);
  await Promise.all([a, b].map(({ program }) => program.stop()));
  const c = await startMember(t, redis.url, "c", { args: declared() });
  t.match(await c.program.event("pool.orderKept"), { pool: "p", ordering: "key", key: "topic" });
  const member = await join(t, c.port, "member");
  t.equal((await firstReceived([member], 8)).length, 8);
  await until(() => leftInShards(redis) === "0 entries, 0 messages");
  await c.program.stop();
  await pause(4_000);
  const d = await startMember(t, redis.url, "d", { args: declared() });
  const again = await join(t, d.port, "member");
  const other = await MqttClient.connect(t, d.port, "publisher");
  await other.publish(topic, "without order");
  t.equal(await again.receive(), "without order");
  t.equal(cli(redis, "HGET", names.layouts, "p/ticks/#"), "");
});
