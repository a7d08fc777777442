import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { startRedis } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { join, skip, startMember, startTwo, topic } from "./brokers.ts";
import { firstReceived, keyTopic, leftInShards, overtakers, ownedBy, publishKeys } from "./ordered.ts";

test("key_affinity keeps a key at one member, over brokers, by a field of the record", {
  skip,
}, async (t) => {
  const { a, b } = await startTwo(t, { strategy: "key_affinity", key: "symbol" });
  const members = [
    await join(t, a.port, "one"),
    await join(t, a.port, "two"),
    await join(t, b.port, "three"),
    await join(t, b.port, "four"),
  ];
  await until(() => ownedBy(a) === 8 && ownedBy(b) === 8);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  const takers = new Map<string, Set<number>>();
  let count = 0;
  const taking = Promise.all(
    members.map(async (member, at) => {
      while (count < 200) {
        const text = await member.receive(200).catch(() => undefined);
        if (text === undefined) continue;
        const { symbol } = JSON.parse(text);
        takers.set(symbol, (takers.get(symbol) ?? new Set()).add(at));
        count++;
      }
    }),
  );
  // One topic: only the field tells the keys apart; one by one, because a member has its share of keys at most.
  for (let n = 0; n < 200; n++) {
    publisher.sendPublish(topic, JSON.stringify({ symbol: `S${n % 20}`, n }));
    await until(() => count > n);
  }
  await taking;
  t.ok(
    [...takers.values()].every((at) => at.size === 1),
    "each key at one member",
  );
  t.ok(new Set([...takers.values()].flatMap((at) => [...at])).size >= 3, "keys are spread");
});

test("attempts of an ordered pool are counted across brokers, and later messages wait for them", {
  skip,
}, async (t) => {
  const { redis, a, b } = await startTwo(t, { ordering: "key", maxDeliveries: 2 });
  const first = await join(t, a.port, "first");
  await until(() => ownedBy(a) === 16);
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publishKeys(publisher, 1, 3);
  await first.next("publish");
  first.drop();
  const second = await join(t, b.port, "second");
  const { messageId, payload } = await second.next("publish");
  t.equal(String(payload), "0 0");
  second.sendPublish("members/second/reject", JSON.stringify({ packetId: messageId, reason: "bad" }));
  t.match(await b.program.event("delivery.dead"), { pool: "p", attempts: 2, reason: "bad" });
  t.same(await firstReceived([second], 2), ["0 1", "0 2"]);
  await until(() => leftInShards(redis) === "0 entries, 0 messages");
});

test("a full ordered pool drops its oldest messages, whichever shards they are in", { skip }, async (t) => {
  const { a } = await startTwo(t, { ordering: "key", whenFull: "dropOldest", maxBacklogBytes: 20_000 });
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  for (let n = 0; n < 40; n++) await publisher.publish(keyTopic(n), `${n} 0`.padEnd(1_000));
  await a.program.event("pool.dropped");
  const member = await join(t, a.port, "member");
  const received = new Set<number>();
  while (received.size < 19) received.add(Number((await member.receive()).split(" ")[0]));
  t.same(
    [...received].filter((number) => number < 20),
    [],
    "the newest nineteen are left",
  );
});

test("an ordered queue that nobody takes from for retainWhenEmptyMs is emptied, and goes on", {
  skip,
}, async (t) => {
  const { redis, a, b } = await startTwo(t, { ordering: "key", retainWhenEmptyMs: 1_000 });
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publishKeys(publisher, 10, 1);
  await until(() => leftInShards(redis) === "0 entries, 0 messages");
  const member = await join(t, b.port, "member");
  await until(() => ownedBy(b) === 16);
  await publishKeys(publisher, 10, 1, 1);
  t.ok((await firstReceived([member], 10)).every((text) => text.endsWith(" 1")));
});

test("a pool that one broker orders by a rule is ordered on all", { skip }, async (t) => {
  const redis = await startRedis(t);
  const rule = ["--routing", JSON.stringify([{ pools: ["ruled"], ordering: "key" }])];
  const a = await startMember(t, redis.url, "a", { args: rule });
  const b = await startMember(t, redis.url, "b");
  const first = await MqttClient.connect(t, a.port, "first");
  await first.subscribe("$share/ruled/ticks/#");
  await b.program.event("pool.orderKept");
  const second = await MqttClient.connect(t, b.port, "second");
  await second.subscribe("$share/ruled/ticks/#");
  await until(() => ownedBy(a) === 8 && ownedBy(b) === 8);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publishKeys(publisher, 20, 5);
  t.same(overtakers(await firstReceived([first, second], 100)), []);
});
