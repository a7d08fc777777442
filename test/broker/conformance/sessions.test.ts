import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { type AnyPacket, MqttClient } from "../../support/mqtt-client.ts";

const { port, program } = await startBroker(t, { args: ["--durability", "memory"] });
const persistent = { clean: false } as const;

test("[MQTT-3.1.2-4] [MQTT-4.1.0-1] a session with its subscriptions goes on when its client returns", async (t) => {
  const first = await MqttClient.connect(t, port, "resumed", persistent);
  await first.subscribe("resumed/+", 1);
  await first.unsubscribe("resumed/none");
  await first.disconnect();
  const second = await MqttClient.connect(t, port, "resumed", persistent);
  await second.publish("resumed/a", "m");
  t.equal(await second.receive(), "m");
});

test("[MQTT-3.1.2-5] messages of QoS 1 and 2 wait for a client that is away, in order, without DUP", async (t) => {
  const first = await MqttClient.connect(t, port, "away", persistent);
  await first.subscribe("away", 2);
  await first.disconnect();
  const publisher = await MqttClient.connect(t, port, "away-publisher");
  for (let number = 1; number <= 20; number++)
    publisher.sendPublish("away", `${number}`, { qos: number % 2 === 0 ? 2 : 1, messageId: number });
  await publisher.settle();
  const second = await MqttClient.connect(t, port, "away", persistent);
  for (let number = 1; number <= 20; number++) {
    const message = await second.next("publish");
    t.match(message, { dup: false, qos: number % 2 === 0 ? 2 : 1 });
    t.equal(message.payload.toString(), `${number}`);
  }
});

test("[MQTT-3.1.2-6] [MQTT-4.1.0-2] CleanSession 1 ends the session before, and its own with the connection", async (t) => {
  const first = await MqttClient.connect(t, port, "clean", persistent);
  await first.subscribe("clean", 1);
  await first.disconnect();
  const publisher = await MqttClient.connect(t, port, "clean-publisher");
  await publisher.publish("clean", "for nobody");
  const second = await MqttClient.connect(t, port, "clean", { clean: true });
  await publisher.publish("clean", "for nobody either");
  t.same(await second.settle(), []);
  await second.subscribe("clean", 1);
  second.drop();
  const third = await MqttClient.connect(t, port, "clean", persistent);
  t.equal(third.sessionPresent, false);
  await publisher.publish("clean", "nor now");
  t.same(await third.settle(), []);
});

test("[MQTT-4.4.0-1] [MQTT-2.3.1-3] [MQTT-3.3.1-1] [MQTT-4.6.0-1] what was not acknowledged is sent again in its order, with its identifier and DUP", async (t) => {
  const first = await MqttClient.connect(t, port, "again", persistent);
  await first.subscribe("again", 2);
  const publisher = await MqttClient.connect(t, port, "again-publisher");
  for (let number = 1; number <= 10; number++)
    publisher.sendPublish("again", `${number}`, { qos: number % 2 === 0 ? 2 : 1, messageId: number });
  const sent: AnyPacket[] = [];
  for (let number = 1; number <= 10; number++) sent.push(await first.next("publish"));
  first.puback(sent[2]?.messageId);
  await first.settle();
  first.drop();
  const waiting = sent.filter((_, index) => index !== 2).map(({ messageId }) => messageId);
  for (let round = 0; round < 2; round++) {
    const again = await MqttClient.connect(t, port, "again", persistent);
    for (const messageId of waiting) t.match(await again.next("publish"), { messageId, dup: true });
    t.same(await again.settle(), []);
    again.drop();
  }
});

test("[MQTT-4.3.3-1] [MQTT-4.6.0-4] a QoS 2 delivery goes on where it was: PUBREL again, never the PUBLISH", async (t) => {
  const first = await MqttClient.connect(t, port, "release", persistent);
  await first.subscribe("release", 2);
  const publisher = await MqttClient.connect(t, port, "release-publisher");
  const ids: number[] = [];
  for (let number = 1; number <= 3; number++) {
    publisher.sendPublish("release", `${number}`, { qos: 2, messageId: number });
    ids.push((await first.next("publish")).messageId);
  }
  for (const messageId of ids) {
    first.send({ cmd: "pubrec", messageId });
    t.equal((await first.next("pubrel")).messageId, messageId);
  }
  first.drop();
  const second = await MqttClient.connect(t, port, "release", persistent);
  for (const messageId of ids) {
    t.equal((await second.next("pubrel")).messageId, messageId, "in the order of the PUBRECs");
    second.send({ cmd: "pubcomp", messageId });
  }
  t.same(await second.settle(), []);
  second.drop();
  const third = await MqttClient.connect(t, port, "release", persistent);
  await third.settle();
  t.same(third.inbox, [], "nothing is left");
});

test("[MQTT-4.3.3-2] a QoS 2 PUBLISH that is repeated in a later connection of the session is one message", async (t) => {
  const watcher = await MqttClient.connect(t, port, "repeat-watcher");
  await watcher.subscribe("repeat", 1);
  const publish = (client: MqttClient, dup: boolean): void =>
    client.send({ cmd: "publish", topic: "repeat", payload: "m", qos: 2, messageId: 77, dup, retain: false });
  const first = await MqttClient.connect(t, port, "repeat", persistent);
  publish(first, false);
  await first.next("pubrec");
  first.drop();
  const second = await MqttClient.connect(t, port, "repeat", persistent);
  publish(second, true);
  t.equal((await second.next("pubrec")).messageId, 77);
  second.send({ cmd: "pubrel", messageId: 77 });
  t.equal((await second.next("pubcomp")).messageId, 77);
  publish(second, false);
  await second.next("pubrec");
  t.same([await watcher.receive(), await watcher.receive()], ["m", "m"], "the second one is new");
  t.same(await watcher.settle(), []);
});

test("takeovers in quick succession leave one connection, its session and its subscription", async (t) => {
  const opening: MqttClient[] = [];
  for (let number = 0; number < 30; number++) {
    const client = await MqttClient.open(t, port);
    client.sendConnect("fought-over", persistent);
    opening.push(client);
    if (number % 3 === 0) client.drop();
  }
  const last = await MqttClient.connect(t, port, "fought-over", persistent);
  await Promise.all(opening.map(({ closed }) => closed));
  await last.subscribe("fought-over", 1);
  await last.publish("fought-over", "m");
  t.equal(await last.receive(), "m");
  const next = await MqttClient.connect(t, port, "fought-over", persistent);
  await last.closed;
  t.equal(next.sessionPresent, true);
  await next.publish("fought-over", "again");
  t.equal(await next.receive(), "again");
});

test("a connection that goes away before its CONNACK takes nobody with it", async (t) => {
  const holder = await MqttClient.connect(t, port, "stays", persistent);
  await holder.subscribe("stays", 1);
  for (let number = 0; number < 50; number++) {
    const passing = await MqttClient.open(t, port);
    passing.sendConnect(number % 2 === 0 ? "stays-passing" : "", { clean: true });
    passing.drop();
  }
  await holder.publish("stays", "m");
  t.equal(await holder.receive(), "m");
  const successor = await MqttClient.connect(t, port, "stays", persistent);
  await holder.closed;
  t.equal(successor.sessionPresent, true);
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "sessionTakenOver");
});
