import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { closes, field, packet } from "./raw.ts";

const { port } = await startBroker(t, { args: ["--durability", "memory"] });
const publisher = await MqttClient.connect(t, port, "publisher");

test("[MQTT-2.3.1-1] packet identifier 0 closes, in whatever packet it comes", async (t) => {
  const packets: [string, Buffer][] = [
    ["PUBLISH", packet(0x32, field("a"), [0, 0])],
    ["SUBSCRIBE", packet(0x82, [0, 0], field("a"), [0])],
    ["UNSUBSCRIBE", packet(0xa2, [0, 0], field("a"))],
    ["PUBACK", packet(0x40, [0, 0])],
    ["PUBREL", packet(0x62, [0, 0])],
  ];
  for (const [name, bytes] of packets) {
    await closes(t, port, "zero", bytes);
    t.pass(name);
  }
});

test("[MQTT-2.3.1-5] a PUBLISH of QoS 0 has no packet identifier", async (t) => {
  const subscriber = await MqttClient.connect(t, port, "no-id");
  await subscriber.subscribe("no-id", 0);
  await publisher.publish("no-id", "m");
  const message = await subscriber.next("publish");
  t.match(message, { qos: 0, dup: false });
  t.equal(message.messageId, undefined);
  t.equal(message.payload.toString(), "m");
});

test("[MQTT-2.3.1-2] [MQTT-2.3.1-4] [MQTT-4.3.2-1] each message in flight has an identifier of its own and no DUP", async (t) => {
  const subscriber = await MqttClient.connect(t, port, "ids");
  await subscriber.subscribe("ids", 2);
  const sender = await MqttClient.connect(t, port, "ids-sender");
  for (let number = 0; number < 60; number++) {
    sender.sendPublish("ids", `${number}`, { qos: number % 2 === 0 ? 1 : 2, messageId: number + 1 });
  }
  const held = new Set<number>();
  for (let number = 0; number < 60; number++) {
    const { messageId, dup } = await subscriber.next("publish");
    t.ok(messageId > 0 && !held.has(messageId) && !dup, `${messageId}`);
    held.add(messageId);
  }
});

test("[MQTT-2.3.1-6] [MQTT-3.3.4-1] [MQTT-4.3.1-1] [MQTT-4.3.2-2] a PUBLISH is answered by its QoS, with its own identifier", async (t) => {
  const client = await MqttClient.connect(t, port, "answers");
  client.sendPublish("answers", "m", { qos: 0 });
  client.sendPublish("answers", "m", { qos: 1, messageId: 65_535 });
  client.sendPublish("answers", "m", { qos: 2, messageId: 1 });
  await client.settle();
  t.match(client.inbox, [
    { cmd: "puback", messageId: 65_535 },
    { cmd: "pubrec", messageId: 1 },
  ]);
  t.equal(client.inbox.length, 2, "nothing for QoS 0");
});

test("[MQTT-3.3.1-2] [MQTT-3.3.1-4] DUP with QoS 0, or both QoS bits, close", async (t) => {
  await closes(t, port, "bits", packet(0x38, field("a")));
  await closes(t, port, "bits", packet(0x36, field("a"), [0, 1]));
});

test("[MQTT-3.3.1-3] DUP of a PUBLISH that came in says nothing about the one that goes out", async (t) => {
  const subscriber = await MqttClient.connect(t, port, "dup");
  await subscriber.subscribe("dup", 2);
  const sender = await MqttClient.connect(t, port, "dup-sender");
  for (const qos of [1, 2] as const) {
    sender.send({
      cmd: "publish",
      topic: "dup",
      payload: "m",
      qos,
      dup: true,
      messageId: 9,
      retain: false,
    });
    t.match(await subscriber.next("publish"), { qos, dup: false });
  }
});

test("[MQTT-3.3.2-1] [MQTT-1.5.3-1] [MQTT-1.5.3-2] a topic that is not UTF-8, or has U+0000, closes", async (t) => {
  await closes(t, port, "utf8", packet(0x30, field(Buffer.from([0xc3, 0x28]))));
  await closes(t, port, "utf8", packet(0x30, field(Buffer.from([0xed, 0xa0, 0x80]))));
  await closes(t, port, "utf8", packet(0x30, field("a\0b")));
});

test("[MQTT-3.3.2-2] [MQTT-4.7.1-1] a wildcard in a topic closes", async (t) => {
  for (const topic of ["+", "a/#", "a/+/b", "a#b"]) await closes(t, port, "wild", packet(0x30, field(topic)));
});

test("[MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3] an empty topic closes, and one over the limits of length and levels", async (t) => {
  for (const topic of ["", "x".repeat(1_025), "x".repeat(65_535), "/".repeat(32)])
    await closes(t, port, "long", packet(0x32, field(topic), [0, 1]));
  await publisher.publish("x".repeat(1_024), "longest");
  await publisher.publish("/".repeat(31), "deepest");
});

test("[MQTT-3.3.2-3] [MQTT-1.5.3-3] [MQTT-4.7.3-4] a topic goes out as it came, byte by byte: case, spaces, U+FEFF, no normalisation", async (t) => {
  const topics = [
    "exact/é",
    "exact/e\u0301",
    "exact/\ufeffbom",
    "exact/ SPACE ",
    "exact/space",
    "exact//",
    "exact/😀",
  ];
  const subscriber = await MqttClient.connect(t, port, "exact");
  await subscriber.subscribe("exact/#", 1);
  for (const topic of topics) await publisher.publish(topic, "m");
  for (const topic of topics) {
    const message = await subscriber.next("publish");
    t.equal(message.topic, topic);
    subscriber.puback(message.messageId);
  }
  const single = await MqttClient.connect(t, port, "exact-single");
  await single.subscribe("\ufeffexact", 1);
  await publisher.publish("exact", "without");
  await publisher.publish("\ufeffexact", "with");
  t.equal(await single.receive(), "with");
  t.same(await single.settle(), []);
});

test("[MQTT-4.2.0-1] a message of any size up to the limit arrives whole, one over it closes", async (t) => {
  const subscriber = await MqttClient.connect(t, port, "sizes");
  await subscriber.subscribe("sizes", 1);
  for (const size of [0, 1, 118, 119, 120, 16_374, 16_375, 65_600, 1_048_560]) {
    await publisher.publish("sizes", "x".repeat(size));
    t.equal((await subscriber.receive()).length, size);
  }
  const large = await MqttClient.connect(t, port, "large");
  large.socket.write(packet(0x30, field("sizes"), Buffer.alloc(1_048_570)));
  await large.closed;
});

test("a burst that ends with DISCONNECT, or with half a close, is delivered whole", async (t) => {
  const subscriber = await MqttClient.connect(t, port, "burst");
  await subscriber.subscribe("burst", 1);
  for (const end of ["disconnect", "half-close"] as const) {
    const client = await MqttClient.connect(t, port, "burst-publisher");
    client.socket.cork();
    for (let number = 0; number < 500; number++)
      client.sendPublish("burst", `${number}`, { qos: number % 2 === 0 ? 1 : 0, messageId: number + 1 });
    if (end === "disconnect") client.send({ cmd: "disconnect" });
    client.socket.uncork();
    client.socket.end();
    for (let number = 0; number < 500; number++) {
      const text = await subscriber.receive();
      if (text !== `${number}`) t.fail(`${text} after ${number - 1}`);
    }
    await client.closed;
    t.pass(end);
  }
});

test("[MQTT-3.3.5-2] a PUBLISH that is not authorised closes and reaches nobody", async (t) => {
  const watcher = await MqttClient.connect(t, port, "forbidden-watcher");
  await watcher.subscribe("heartbeat/agents/+", 1);
  for (const qos of [0, 1, 2] as const) {
    const client = await MqttClient.connect(t, port, "forbidden");
    client.sendPublish("heartbeat/agents/somebody-else", "m", { qos });
    await client.closed;
    t.same(client.inbox, [], "no acknowledgement");
  }
  t.same(await watcher.settle(), []);
});

test("[MQTT-4.3.2-2] after its PUBACK a PUBLISH with the same identifier is a new message, with DUP too", async (t) => {
  const subscriber = await MqttClient.connect(t, port, "reuse");
  await subscriber.subscribe("reuse", 1);
  const client = await MqttClient.connect(t, port, "reuse-publisher");
  for (const dup of [false, false, true]) {
    client.send({ cmd: "publish", topic: "reuse", payload: "m", qos: 1, messageId: 7, dup, retain: false });
    t.equal((await client.next("puback")).messageId, 7);
    t.equal(await subscriber.receive(), "m");
  }
});
