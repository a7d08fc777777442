import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";

const { port } = await startBroker(t, { args: ["--durability", "memory"] });

/** Which of the topics reach a subscription, and as retained messages too. */
async function reached(
  t: Parameters<typeof MqttClient.connect>[0],
  filter: string,
  topics: readonly string[],
): Promise<string[]> {
  const publisher = await MqttClient.connect(t, port, "publisher");
  const subscriber = await MqttClient.connect(t, port, "subscriber");
  await subscriber.subscribe(filter, 0);
  await subscriber.settle();
  subscriber.inbox.length = 0;
  for (const topic of topics) await publisher.publish(topic, "m", { retain: true });
  // The broker's own heartbeat matches wildcards too.
  const of = (messages: readonly { [field: string]: unknown }[]): string[] =>
    messages.map(({ topic }) => topic as string).filter((topic) => topics.includes(topic));
  const live = of(await subscriber.settle());
  const late = await MqttClient.connect(t, port, "late");
  await late.subscribe(filter, 0);
  const retained = of(await late.settle());
  for (const topic of topics) await publisher.publish(topic, "", { retain: true });
  if (live.sort().join() !== retained.sort().join()) throw new Error(`live ${live}, retained ${retained}`);
  return live;
}

test("[MQTT-4.7.1-2] # matches its parent and every level below, empty ones too", async (t) => {
  const topics = ["sport/tennis", "sport", "sport/", "sport//a", "sports", "Sport"];
  t.same(await reached(t, "sport/#", topics), ["sport", "sport/", "sport//a", "sport/tennis"]);
});

test("[MQTT-4.7.1-3] + matches exactly one level, an empty one too", async (t) => {
  t.same(await reached(t, "s/+", ["s/a", "s", "s/", "s/a/b", "s//"]), ["s/", "s/a"]);
  t.same(await reached(t, "k/+/b", ["k//b", "k/a/b", "k/b", "k/a//b"]), ["k//b", "k/a/b"]);
  t.same(await reached(t, "+/+", ["/finance", "finance/", "finance"]), ["/finance", "finance/"]);
  t.same(await reached(t, "/+", ["/finance", "finance", "/a/b"]), ["/finance"]);
  t.same(await reached(t, "+", ["finance", "/finance"]), ["finance"]);
});

test("[MQTT-4.7.3-4] topics are compared as they are: case, spaces and empty levels count", async (t) => {
  t.same(await reached(t, "ACCOUNTS", ["accounts", "Accounts", "ACCOUNTS"]), ["ACCOUNTS"]);
  t.same(await reached(t, "a b", ["a b", "a  b", "ab"]), ["a b"]);
  t.same(await reached(t, "a//b", ["a//b", "a/b", "a///b"]), ["a//b"]);
  t.same(await reached(t, "/", ["/", "//"]), ["/"]);
});

test("[MQTT-4.7.2-1] wildcards at the front do not match topics that begin with $", async (t) => {
  const topics = ["$data/a", "data/a", "data/$a"];
  t.same(await reached(t, "#", topics), ["data/$a", "data/a"]);
  t.same(await reached(t, "+/a", topics), ["data/a"]);
  t.same(await reached(t, "$data/#", topics), ["$data/a"]);
  t.same(await reached(t, "$data/+", topics), ["$data/a"]);
});

test("names that JavaScript knows are topics and client identifiers like any other", async (t) => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const client = await MqttClient.connect(t, port, name);
    await client.subscribe(`${name}/+`, 1);
    await client.publish(`${name}/${name}`, "m");
    t.equal(await client.receive(), "m", name);
  }
});

test("[MQTT-4.6.0-5] [MQTT-4.6.0-6] messages of one topic arrive in their order, at every QoS", async (t) => {
  const publisher = await MqttClient.connect(t, port, "ordered-publisher");
  for (const qos of [0, 1, 2] as const) {
    const subscriber = await MqttClient.connect(t, port, "ordered");
    await subscriber.subscribe("ordered", qos);
    for (let number = 0; number < 300; number++)
      publisher.sendPublish("ordered", `${number}`, { qos, messageId: number + 1 });
    const seen: string[] = [];
    while (seen.length < 300) {
      const { messageId, payload } = await subscriber.next("publish");
      if (qos === 1) subscriber.puback(messageId);
      if (qos === 2) subscriber.send({ cmd: "pubrec", messageId });
      seen.push(payload.toString());
    }
    t.same(
      seen,
      Array.from({ length: 300 }, (_, number) => `${number}`),
    );
    for (let number = 0; number < 300 && qos === 2; number++)
      publisher.send({ cmd: "pubrel", messageId: number + 1 });
    subscriber.drop();
  }
});
