import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { closes, field, packet } from "./raw.ts";

const { port, program } = await startBroker(t, {
  args: ["--durability", "memory", "--limits-max-subscriptions", "20"],
});
const publisher = await MqttClient.connect(t, port, "publisher");

const subscriptions = (list: readonly [string, number][]): object[] =>
  list.map(([topic, qos]) => ({ topic, qos }));

test("[MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.6.1-1] SUBSCRIBE, UNSUBSCRIBE and PUBREL with other reserved bits close", async (t) => {
  await closes(t, port, "bits", packet(0x80, [0, 1], field("a"), [0]));
  await closes(t, port, "bits", packet(0x83, [0, 1], field("a"), [0]));
  await closes(t, port, "bits", packet(0xa0, [0, 1], field("a")));
  await closes(t, port, "bits", packet(0x60, [0, 1]));
});

test("[MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT-1.5.3-1] [MQTT-1.5.3-2] filters that are not UTF-8, or have U+0000, close", async (t) => {
  for (const bytes of [Buffer.from([0xff]), Buffer.from([0xed, 0xbf, 0xbf]), Buffer.from("a\0")]) {
    await closes(t, port, "utf8", packet(0x82, [0, 1], field(bytes), [0]));
    await closes(t, port, "utf8", packet(0xa2, [0, 1], field(bytes)));
  }
});

test("[MQTT-3.8.3-3] [MQTT-3.10.3-2] [MQTT-4.8.0-1] a packet without filters closes", async (t) => {
  await closes(t, port, "none", packet(0x82, [0, 1]));
  await closes(t, port, "none", packet(0xa2, [0, 1]));
  await closes(t, port, "none", packet(0x82));
});

test("[MQTT-3-8.3-4] reserved bits of a requested QoS, QoS 3, or a missing one close", async (t) => {
  for (const qos of [3, 4, 0x80]) await closes(t, port, "qos", packet(0x82, [0, 1], field("a"), [qos]));
  await closes(t, port, "qos", packet(0x82, [0, 1], field("a")));
  await closes(t, port, "qos", packet(0x82, [0, 1], field("a"), [0], field("b")));
});

test("[MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1] wildcards that do not fill their level, # before the end, and empty filters close", async (t) => {
  for (const filter of ["", "a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++"]) {
    await closes(t, port, "wild", packet(0x82, [0, 1], field(filter), [0]));
    t.pass(JSON.stringify(filter));
  }
});

test("filters over the limits of length and levels are answered with 0x80, and UNSUBSCRIBE answers for them", async (t) => {
  const client = await MqttClient.connect(t, port, "long");
  const list: [string, number][] = [
    ["x".repeat(1_024), 1],
    ["x".repeat(1_025), 1],
    ["/".repeat(31), 0],
    ["/".repeat(32), 0],
    ["/".repeat(200), 0],
  ];
  client.send({ cmd: "subscribe", messageId: 5, subscriptions: subscriptions(list) });
  t.same((await client.next("suback")).granted, [1, 0x80, 0, 0x80, 0x80]);
  client.send({ cmd: "unsubscribe", messageId: 6, unsubscriptions: ["/".repeat(200)] });
  t.equal((await client.next("unsuback")).messageId, 6);
});

test("[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.3.1-7] SUBACK has the identifier of its SUBSCRIBE, UNSUBACK that of its UNSUBSCRIBE", async (t) => {
  const client = await MqttClient.connect(t, port, "ids");
  for (const messageId of [1, 256, 65_535]) {
    client.send({ cmd: "subscribe", messageId, subscriptions: subscriptions([["ids", 0]]) });
    client.send({ cmd: "unsubscribe", messageId, unsubscriptions: ["ids"] });
    t.equal((await client.next("suback")).messageId, messageId);
    t.equal((await client.next("unsuback")).messageId, messageId);
  }
});

test("[MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] each filter has its code, in order, repeated and refused ones too", async (t) => {
  const client = await MqttClient.connect(t, port, "codes");
  const list: [string, number][] = [
    ["codes/a", 2],
    ["codes/a", 1],
    ["$share/p", 1],
    ["codes/b", 0],
    ["codes/a", 0],
    ["codes/c", 1],
  ];
  client.send({ cmd: "subscribe", messageId: 3, subscriptions: subscriptions(list) });
  t.same((await client.next("suback")).granted, [2, 1, 0x80, 0, 0, 1]);
  await publisher.publish("codes/a", "m");
  t.match(await client.next("publish"), { qos: 0 }, "the last of the repeated ones holds");
});

test("a session has a bounded number of subscriptions: more are answered with 0x80", async (t) => {
  const client = await MqttClient.connect(t, port, "many");
  const list = Array.from({ length: 25 }, (_, number): [string, number] => [`many/${number}`, 1]);
  client.send({ cmd: "subscribe", messageId: 3, subscriptions: subscriptions(list) });
  const { granted } = await client.next("suback");
  t.same(granted, [...Array(20).fill(1), ...Array(5).fill(0x80)]);
  t.equal(await client.subscribe("many/3", 2), 2, "one that is there may be replaced");
  await client.unsubscribe("many/3");
  t.equal(await client.subscribe("many/other", 1), 1);
  await client.disconnect();
  await program.line(({ event, clientId }) => event === "connection.closed" && clientId === "many");
  const told = program.lines.filter(
    ({ event, clientId }) => event === "subscription.refused" && clientId === "many",
  );
  t.equal(told.length, 1, "one event for the packet, not one for each filter");
});

test("[MQTT-3.8.4-3] an identical filter replaces the old one: the new QoS holds, retained messages come again, nothing comes twice", async (t) => {
  const client = await MqttClient.connect(t, port, "again");
  await publisher.publish("again", "retained", { retain: true });
  for (const qos of [0, 2, 1] as const) {
    t.equal(await client.subscribe("again", qos), qos);
    t.match(await client.next("publish"), { qos: Math.min(qos, 1), retain: true });
  }
  client.inbox.length = 0;
  await publisher.publish("again", "live");
  t.match(await client.next("publish"), { qos: 1, retain: false });
  t.same(await client.settle(), []);
});

test("[MQTT-3.3.5-1] overlapping filters: one copy, at the highest QoS of those that match", async (t) => {
  const client = await MqttClient.connect(t, port, "overlap");
  await client.subscribe("overlap/#", 0);
  await client.subscribe("overlap/+", 2);
  await client.subscribe("overlap/a", 1);
  const sender = await MqttClient.connect(t, port, "overlap-sender");
  sender.sendPublish("overlap/a", "m", { qos: 2, messageId: 1 });
  t.match(await client.next("publish"), { qos: 2 });
  t.same(await client.settle(), []);
});

test("[MQTT-3.8.4-6] the QoS is the lower of the granted one and the publisher's, through wildcards too", async (t) => {
  const sender = await MqttClient.connect(t, port, "lower-sender");
  for (const granted of [0, 1, 2] as const) {
    const client = await MqttClient.connect(t, port, `lower-${granted}`);
    await client.subscribe("lower/+", granted);
    for (const qos of [0, 1, 2] as const) {
      sender.sendPublish("lower/a", "m", { qos, messageId: granted * 3 + qos + 1 });
      t.equal((await client.next("publish")).qos, Math.min(qos, granted), `${qos} to ${granted}`);
    }
    client.drop();
  }
});

test("[MQTT-3.10.4-1] [MQTT-3.10.4-2] UNSUBSCRIBE ends the filter that is the same character by character, and no other", async (t) => {
  const client = await MqttClient.connect(t, port, "unsub");
  await client.subscribe("unsub/+", 1);
  for (const filter of ["unsub/a", "unsub/#", "Unsub/+", "unsub/+/"]) await client.unsubscribe(filter);
  await publisher.publish("unsub/a", "still");
  t.equal(await client.receive(), "still");
  await client.unsubscribe("unsub/+");
  await publisher.publish("unsub/a", "gone");
  t.same(await client.settle(), []);
});

test("[MQTT-3.10.4-3] a message in flight is completed after UNSUBSCRIBE", async (t) => {
  const client = await MqttClient.connect(t, port, "inflight", { clean: false });
  await client.subscribe("inflight", 2);
  const sender = await MqttClient.connect(t, port, "inflight-sender");
  sender.sendPublish("inflight", "m", { qos: 2, messageId: 1 });
  const { messageId } = await client.next("publish");
  await client.unsubscribe("inflight");
  client.drop();
  const again = await MqttClient.connect(t, port, "inflight", { clean: false });
  t.match(await again.next("publish"), { messageId, dup: true });
  again.send({ cmd: "pubrec", messageId });
  t.equal((await again.next("pubrel")).messageId, messageId);
  again.send({ cmd: "pubcomp", messageId });
  t.same(await again.settle(), []);
});

test("[MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] one UNSUBACK for all filters, also when none was subscribed", async (t) => {
  const client = await MqttClient.connect(t, port, "unsuback");
  await client.subscribe("unsuback/a", 1);
  await client.subscribe("unsuback/b", 1);
  const unsubscriptions = ["unsuback/none", "unsuback/a", "unsuback/a", "unsuback/b"];
  client.send({ cmd: "unsubscribe", messageId: 700, unsubscriptions });
  t.equal((await client.next("unsuback")).messageId, 700);
  await publisher.publish("unsuback/a", "m");
  await publisher.publish("unsuback/b", "m");
  await client.settle();
  t.same(client.inbox, []);
});

test("[MQTT-4.5.0-1] every subscriber of a topic gets every message", async (t) => {
  const clients = [];
  for (const name of ["one", "two", "three"]) {
    const client = await MqttClient.connect(t, port, `every-${name}`);
    await client.subscribe("every/#", 1);
    clients.push(client);
  }
  for (const text of ["a", "b"]) await publisher.publish("every/x", text);
  for (const client of clients) t.same([await client.receive(), await client.receive()], ["a", "b"]);
});
