import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Teardown } from "../../support/teardown.ts";

const { port } = await startBroker(t, { args: ["--durability", "memory"] });

/** What a new subscriber at QoS 2 gets at once. */
async function retainedFor(t: Teardown, filter: string): Promise<[string, number][]> {
  const client = await MqttClient.connect(t, port, "");
  await client.subscribe(filter, 2);
  const messages = await client.settle();
  for (const { retain, dup } of messages) if (!retain || dup) throw new Error("RETAIN 0 or DUP 1");
  client.drop();
  return messages.map(({ payload, qos }) => [payload.toString(), qos]);
}

async function retain(t: Teardown, topic: string, payload: string, qos: 0 | 1 | 2): Promise<void> {
  const client = await MqttClient.connect(t, port, "");
  client.sendPublish(topic, payload, { qos, retain: true, messageId: 1 });
  if (qos === 2) {
    await client.next("pubrec");
    client.send({ cmd: "pubrel", messageId: 1 });
  }
  await client.settle();
  await client.disconnect();
}

test("[MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] the last retained message of each topic, with its QoS and RETAIN 1, reaches every new subscription", async (t) => {
  for (const qos of [0, 1, 2] as const) {
    await retain(t, "last/a", "old", qos);
    await retain(t, "last/a", `new ${qos}`, qos);
    t.same(await retainedFor(t, "last/a"), [[`new ${qos}`, qos]]);
    t.same(await retainedFor(t, "last/#"), [[`new ${qos}`, qos]]);
  }
});

test("[MQTT-3.3.1-7] a retained message of QoS 0 replaces the one before", async (t) => {
  await retain(t, "zero", "old", 2);
  await retain(t, "zero", "new", 0);
  t.same(await retainedFor(t, "zero"), [["new", 0]]);
});

test("[MQTT-3.3.1-9] subscriptions that exist get it with RETAIN 0", async (t) => {
  const client = await MqttClient.connect(t, port, "live");
  await client.subscribe("live", 2);
  for (const qos of [0, 1, 2] as const) {
    await retain(t, "live", "m", qos);
    t.match(await client.next("publish"), { retain: false, qos });
  }
});

test("[MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty retained message removes what was kept, is delivered, and is not kept", async (t) => {
  for (const qos of [0, 1, 2] as const) {
    await retain(t, "empty", "m", 1);
    const client = await MqttClient.connect(t, port, "empty");
    await client.subscribe("empty", 2);
    client.puback((await client.next("publish")).messageId);
    await retain(t, "empty", "", qos);
    const message = await client.next("publish");
    t.match(message, { retain: false, qos });
    t.equal(message.payload.length, 0);
    t.same(await retainedFor(t, "empty"), []);
  }
});

test("[MQTT-3.3.1-12] a message with RETAIN 0 neither replaces nor removes what is kept", async (t) => {
  await retain(t, "keep", "kept", 1);
  const client = await MqttClient.connect(t, port, "keep");
  await client.publish("keep", "other");
  await client.publish("keep", "");
  t.same(await retainedFor(t, "keep"), [["kept", 1]]);
});

test("[MQTT-3.1.2-7] retained messages stay when the session of their publisher ends", async (t) => {
  const client = await MqttClient.connect(t, port, "gone", { clean: true });
  await client.publish("gone", "m", { retain: true });
  await client.disconnect();
  t.same(await retainedFor(t, "gone"), [["m", 1]]);
});

test("a retained PUBLISH and a SUBSCRIBE in one segment give one copy", async (t) => {
  const client = await MqttClient.connect(t, port, "one-segment");
  client.socket.cork();
  client.sendPublish("one-segment", "m", { qos: 1, retain: true, messageId: 1 });
  client.send({ cmd: "subscribe", messageId: 2, subscriptions: [{ topic: "one-segment", qos: 1 }] });
  client.socket.uncork();
  await client.next("suback");
  t.equal((await client.settle()).length, 1);
});

test("a persistent session does not get retained messages again when its client returns", async (t) => {
  await retain(t, "return", "m", 1);
  const first = await MqttClient.connect(t, port, "return", { clean: false });
  await first.subscribe("return", 1);
  t.equal(await first.receive(), "m");
  await first.settle();
  await first.disconnect();
  const second = await MqttClient.connect(t, port, "return", { clean: false });
  t.same(await second.settle(), []);
});
