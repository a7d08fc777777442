import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";

// On disk: acknowledgements wait for the commit, which is where their order could be lost.
const { port } = await startBroker(t);

test("[MQTT-4.6.0-2] [MQTT-4.6.0-3] PUBACKs and PUBRECs come in the order of their PUBLISHes, stored or not", async (t) => {
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe("$share/p/stored/+", 1);
  const client = await MqttClient.connect(t, port, "mixed");
  for (let number = 1; number <= 400; number++) {
    const topic = number % 3 === 0 ? "stored/a" : "nobody/a";
    client.sendPublish(topic, "m", { qos: number % 2 === 0 ? 2 : 1, messageId: number });
  }
  while (client.inbox.length < 400) await client.settle();
  t.same(
    client.inbox.map(({ cmd, messageId }) => [cmd, messageId]),
    Array.from({ length: 400 }, (_, index) => [index % 2 === 0 ? "puback" : "pubrec", index + 1]),
  );
});

test("[MQTT-4.3.3-2] QoS 2 from a publisher: PUBREC, then PUBCOMP for PUBREL, in the order they came [MQTT-4.6.0-4]", async (t) => {
  const client = await MqttClient.connect(t, port, "exactly");
  for (let messageId = 1; messageId <= 50; messageId++)
    client.sendPublish("exactly", "m", { qos: 2, messageId });
  for (let messageId = 1; messageId <= 50; messageId++) {
    t.equal((await client.next("pubrec")).messageId, messageId);
    client.send({ cmd: "pubrel", messageId });
  }
  for (let messageId = 1; messageId <= 50; messageId++)
    t.equal((await client.next("pubcomp")).messageId, messageId);
});

test("a PUBREL or PUBREC for an unknown identifier is answered, so that nobody waits for ever", async (t) => {
  const client = await MqttClient.connect(t, port, "unknown");
  client.send({ cmd: "pubrel", messageId: 999 });
  t.equal((await client.next("pubcomp")).messageId, 999);
  client.send({ cmd: "pubrec", messageId: 998 });
  t.equal((await client.next("pubrel")).messageId, 998);
  client.send({ cmd: "puback", messageId: 997 });
  client.send({ cmd: "pubcomp", messageId: 996 });
  t.same(await client.settle(), []);
});

test("[MQTT-4.3.2-1] [MQTT-4.3.3-1] a message stays in flight until its acknowledgement, and goes once", async (t) => {
  const publisher = await MqttClient.connect(t, port, "flight-publisher");
  const first = await MqttClient.connect(t, port, "flight", { clean: false });
  await first.subscribe("flight", 2);
  for (const qos of [1, 2] as const) publisher.sendPublish("flight", `${qos}`, { qos, messageId: qos });
  const one = await first.next("publish");
  const two = await first.next("publish");
  first.puback(one.messageId);
  first.send({ cmd: "pubrec", messageId: two.messageId });
  first.send({ cmd: "pubcomp", messageId: (await first.next("pubrel")).messageId });
  await first.settle();
  first.drop();
  const second = await MqttClient.connect(t, port, "flight", { clean: false });
  await second.settle();
  t.same(second.inbox, []);
});
