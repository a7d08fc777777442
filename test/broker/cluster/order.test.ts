import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { pause, until } from "../../support/time.ts";
import { join, skip, startTwo } from "./brokers.ts";
import { firstReceived, leftInShards, overtakers, ownedBy, publishKeys } from "./ordered.ts";

const ordered = { ordering: "key" };

test("an ordered pool's keys are divided over brokers, each in order, and stay where they are", {
  skip,
}, async (t) => {
  const { redis, a, b } = await startTwo(t, ordered);
  const members = [await join(t, a.port, "on-a"), await join(t, b.port, "on-b")];
  await until(() => ownedBy(a) === 8 && ownedBy(b) === 8);
  const publishers = await Promise.all(
    [a, b].map(({ port }, at) => MqttClient.connect(t, port, `publisher-${at}`)),
  );
  const moves = (): number =>
    [a, b].flatMap(({ program }) => program.lines).filter(({ event }) => event === "pool.shards").length;
  const before = moves();
  const received = firstReceived(members, 20 * 100);
  for (let round = 0; round < 10; round++) {
    await publishKeys(publishers[round % 2] as MqttClient, 20, 10, round * 10);
    await pause(100);
  }
  t.same(overtakers(await received), []);
  t.equal(moves(), before, "no shard has moved");
  await until(() => leftInShards(redis) === "0 entries, 0 messages");
});

test("a key goes on at another broker when nothing of it is in flight", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t, ordered);
  const holder = await join(t, a.port, "holder");
  await until(() => ownedBy(a) === 16);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publishKeys(publisher, 10, 1);
  const first = [];
  while (first.length < 10) first.push(await holder.next("publish"));
  const other = await join(t, b.port, "other");
  await until(() => ownedBy(b) > 0);
  await publishKeys(publisher, 10, 2, 1);
  await pause(500);
  t.same(await other.settle(), [], "all keys are in flight at the holder");
  for (const { messageId } of first) holder.puback(messageId);
  t.same(
    overtakers([
      ...first.map(({ payload }) => String(payload)),
      ...(await firstReceived([holder, other], 20)),
    ]),
    [],
  );
  await until(() => ownedBy(a) === 8 && ownedBy(b) === 8);
  holder.drop();
  await until(() => ownedBy(b) === 16);
  await publishKeys(publisher, 10, 1, 3);
  t.equal((await firstReceived([other], 10)).length, 10, "without members a broker owns nothing");
  await until(() => leftInShards(redis) === "0 entries, 0 messages");
});

test("the keys of a killed broker go on in order at another one", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t, ordered);
  const doomed = await join(t, a.port, "doomed");
  await until(() => ownedBy(a) === 16);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publishKeys(publisher, 10, 10);
  const before = [await doomed.receive(), await doomed.receive()];
  const other = await join(t, b.port, "other");
  await a.program.stop("SIGKILL");
  t.same(overtakers(await firstReceived([other], 100, before)), []);
  await until(() => leftInShards(redis) === "0 entries, 0 messages");
});

test("a broker that was stopped for a while takes part again, with the keys of its share", {
  skip,
}, async (t) => {
  const { redis, a, b } = await startTwo(t, ordered);
  const members = [await join(t, a.port, "on-a"), await join(t, b.port, "on-b")];
  await until(() => ownedBy(a) === 8 && ownedBy(b) === 8);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  const received = firstReceived(members, 10 * 60);
  await publishKeys(publisher, 10, 20);
  a.program.child.kill("SIGSTOP");
  await publishKeys(publisher, 10, 20, 20);
  await until(() => ownedBy(b) === 16);
  a.program.child.kill("SIGCONT");
  await a.program.event("broker.takenForDead");
  await publishKeys(publisher, 10, 20, 40);
  t.same(overtakers(await received), []);
  await until(() => ownedBy(a) === 8 && ownedBy(b) === 8);
  await until(() => leftInShards(redis) === "0 entries, 0 messages");
});
