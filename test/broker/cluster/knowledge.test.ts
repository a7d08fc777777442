/** What brokers know of each other when they all speak at once, or did not hear. */
import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { type Test, test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli, startRedis } from "../../support/redis.ts";
import { pause, until } from "../../support/time.ts";
import { reaches, skip, startAcrossWire, startMember, startTwo } from "./brokers.ts";

test("plain subscribers get what they subscribed to while the engine was full", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const subscriber = await MqttClient.connect(t, a.port, "plain");
  await subscriber.subscribe("news/#");
  cli(redis, "CONFIG", "SET", "maxmemory", "1mb");
  await subscriber.subscribe("more/#");
  await pause(200);
  cli(redis, "CONFIG", "SET", "maxmemory", "0");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  for (const topic of ["news/x", "more/x"]) {
    await reaches(publisher, topic, subscriber);
    await publisher.publish(topic, topic);
    t.equal(await subscriber.receive(), topic);
  }
});

test("a plain subscriber misses nothing while others on its broker subscribe", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  const subscriber = await MqttClient.connect(t, a.port, "plain");
  await subscriber.subscribe("news/#");
  const crowd = await MqttClient.connect(t, a.port, "crowd");
  const subscribe = (n: number) =>
    crowd.send({
      cmd: "subscribe",
      messageId: n + 1,
      subscriptions: [{ topic: `crowd/${"x".repeat(900)}/${n}`, qos: 1 }],
    });
  for (let n = 0; n < 90; n++) subscribe(n);
  for (let n = 0; n < 90; n++) await crowd.next("suback");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await reaches(publisher, "news/x", subscriber);
  const count = 300;
  for (let n = 0; n < count; n++) {
    await publisher.publish("news/x", `${n}`);
    if (n % 3 === 0)
      crowd.send({
        cmd: n % 2 ? "unsubscribe" : "subscribe",
        messageId: 1_000 + n,
        ...(n % 2
          ? { unsubscriptions: [`crowd/more`] }
          : { subscriptions: [{ topic: "crowd/more", qos: 1 }] }),
      });
  }
  for (let n = 0; n < count; n++) t.equal(await subscriber.receive(), `${n}`);
});

/** What the broker has retained at this moment, by topic. */
async function retained(t: Test, port: number): Promise<[string, string][]> {
  const subscriber = await MqttClient.connect(t, port, `subscriber-${randomUUID()}`);
  await subscriber.subscribe("last/#");
  const found = new Map<string, string>();
  while ((await subscriber.settle()).length > 0)
    for (const { topic, payload, messageId, qos } of subscriber.inbox.splice(0)) {
      if (qos === 1) subscriber.puback(messageId);
      found.set(topic, payload.toString().trim());
    }
  await subscriber.disconnect();
  return [...found].sort(([one], [other]) => one.localeCompare(other));
}

test("the last of two brokers to retain a message wins on all of them", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  const publishers = await Promise.all(
    [a, b].map(({ port }, at) => MqttClient.connect(t, port, `publisher-${at}`)),
  );
  for (let round = 0; round < 150; round++)
    for (const [at, publisher] of publishers.entries())
      publisher.sendPublish(`last/${round}`, `${at}`.padEnd(5_000), { retain: true });
  for (const publisher of publishers)
    for (let round = 0; round < 150; round++) await publisher.next("puback");
  let seen: [string, string][][] = [];
  await until(async () => {
    seen = await Promise.all([a, b].map(({ port }) => retained(t, port)));
    return seen[0]?.length === 150 && isDeepStrictEqual(seen[0], seen[1]);
  });
  t.same(seen[0], seen[1]);
});

test("a retained message that was forgotten while a broker did not hear is forgotten there, too", {
  skip,
}, async (t) => {
  const { wire, a, b, cutOff } = await startAcrossWire(t);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publisher.publish("last/x", "old", { retain: true });
  await publisher.publish("last/y", "stays", { retain: true });
  await until(async () => {
    const reader = await MqttClient.connect(t, a.port, "reader");
    await reader.subscribe("last/#");
    return (await reader.settle()).length === 2;
  });
  await cutOff();
  await publisher.publish("last/x", "", { retain: true });
  wire.refuse = false;
  await until(async () => {
    const reader = await MqttClient.connect(t, a.port, "reader");
    await reader.subscribe("last/#");
    const topics = (await reader.settle()).map((packet) => packet.topic);
    return isDeepStrictEqual(topics, ["last/y"]);
  });
  t.pass("and the other one is kept");
});

test("a broker takes part beside one that declares more than it knows", { skip }, async (t) => {
  const { redis, a } = await startTwo(t);
  const declaredThere = {
    name: "future",
    filters: ["future/#"],
    strategy: "psychic",
    ordering: "moon",
    more: 1,
  };
  cli(
    redis,
    "HSET",
    "equipoise:{default}:registry",
    "future/future/#",
    JSON.stringify({ declared: declaredThere, dropAtBytes: null }),
  );
  cli(
    redis,
    "HSET",
    "equipoise:{default}:registry",
    "odd/odd/#",
    JSON.stringify({ declared: { name: "odd" }, dropAtBytes: "x" }),
  );
  cli(redis, "HSET", "equipoise:{default}:registry", "worse/worse/#", "[");
  cli(redis, "INCR", "equipoise:{default}:version");
  await Promise.race([
    until(() => a.program.lines.some(({ event, pool }) => event === "pool.created" && pool === "future")),
    a.program.exited,
  ]);
  await pause(500);
  t.equal(a.program.child.exitCode, null, a.program.stderr);
  const member = await MqttClient.connect(t, a.port, "member");
  await member.subscribe("$share/future/future/#");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish("future/x", "1");
  t.equal(await member.receive(), "1");
});

test("the id of a broker may have spaces", { skip }, async (t) => {
  const redis = await startRedis(t);
  const [a, b] = await Promise.all(["rack 1", "rack 2"].map((id) => startMember(t, redis.url, id)));
  const first = await MqttClient.connect(t, a?.port ?? 0, "x");
  const second = await MqttClient.connect(t, b?.port ?? 0, "x");
  await first.closed;
  t.same(await second.settle(), []);
});
