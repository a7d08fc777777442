import { generate } from "mqtt-packet";
import { test } from "tap";
import { startBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { pause } from "../support/time.ts";

test("retained messages reach a new subscription with RETAIN, live ones come without [MQTT-3.3.1-8] [MQTT-3.3.1-9]", async (t) => {
  const { port } = await startBroker(t);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("last/a", "old", { retain: true });
  await publisher.publish("last/a", "new", { retain: true });
  await publisher.publish("last/b", "gone", { retain: true });
  await publisher.publish("last/b", "", { retain: true });
  const subscriber = await MqttClient.connect(t, port, "subscriber");
  await subscriber.subscribe("last/#");
  const [first, ...more] = await subscriber.settle();
  t.match(first, { topic: "last/a", retain: true, qos: 1 });
  t.equal(first?.payload.toString(), "new");
  t.same(more, []);
  await publisher.publish("last/a", "live", { retain: true });
  await subscriber.next("publish");
  t.match(await subscriber.next("publish"), { retain: false });
});

test("a persistent session keeps subscriptions and messages, and sends again what was not acknowledged with DUP", async (t) => {
  const { port, program } = await startBroker(t);
  const first = await MqttClient.connect(t, port, "keeper", { clean: false });
  t.equal(first.sessionPresent, false);
  await first.subscribe("a/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("a/1", "held");
  const held = await first.next("publish");
  first.drop();
  // What comes before the broker has noticed is on the wire, too.
  await program.event("connection.closed");
  await publisher.publish("a/2", "while away");
  const second = await MqttClient.connect(t, port, "keeper", { clean: false });
  t.equal(second.sessionPresent, true);
  const again = await second.next("publish");
  t.match(again, { dup: true, messageId: held.messageId, topic: "a/1" });
  t.match(await second.next("publish"), { dup: false, topic: "a/2" });
  await second.disconnect();
  const clean = await MqttClient.connect(t, port, "keeper", { clean: true });
  t.equal(clean.sessionPresent, false, "a clean session ends the old one");
  await publisher.publish("a/3", "nobody");
  t.same(await clean.settle(), []);
});

test("a session without subscriptions is present all the same [MQTT-3.2.2-2]", async (t) => {
  const { port } = await startBroker(t);
  await (await MqttClient.connect(t, port, "keeper", { clean: false })).disconnect();
  t.equal((await MqttClient.connect(t, port, "keeper", { clean: false })).sessionPresent, true);
});

test("a second connection with the same client id takes over [MQTT-3.1.4-2]", async (t) => {
  const { port, program } = await startBroker(t);
  const first = await MqttClient.connect(t, port, "same");
  const second = await MqttClient.connect(t, port, "same");
  await first.closed;
  await second.settle();
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "sessionTakenOver");
  t.pass("the first was closed, the second answers");
});

test("a will is published when a connection breaks and not after DISCONNECT [MQTT-3.1.2-8] [MQTT-3.14.4-3]", async (t) => {
  const { port } = await startBroker(t);
  const watcher = await MqttClient.connect(t, port, "watcher");
  await watcher.subscribe("wills/#");
  const will = (name: string) => ({
    will: { topic: `wills/${name}`, payload: Buffer.from(name), qos: 1, retain: false },
  });
  await (await MqttClient.connect(t, port, "clean", will("clean"))).disconnect();
  (await MqttClient.connect(t, port, "broken", will("broken"))).drop();
  t.match(await watcher.next("publish"), { topic: "wills/broken", qos: 1 });
  t.same(await watcher.settle(), []);
});

test("a silent client is closed after 1.5 times its keepalive; one that only publishes is not", async (t) => {
  const { port, program } = await startBroker(t);
  // Before CONNECT is sent: its answer may be read late.
  const began = performance.now();
  const silent = await MqttClient.connect(t, port, "silent", { keepalive: 1 });
  const closed = silent.closed.then(() => performance.now() - began);
  // Long enough that it keeps to it also when this process gets no time for a while.
  const busy = await MqttClient.connect(t, port, "busy", { keepalive: 2 });
  const limitMs = performance.now() + 3_000;
  while (performance.now() < limitMs + 500) {
    await busy.publish("a", "still here");
    await pause(50);
  }
  const tookMs = await closed;
  t.ok(tookMs >= 1_490, `closed after ${Math.round(tookMs)} ms`);
  t.equal(busy.isClosed, false);
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "keepaliveTimeout");
});

test("QoS 2 from a publisher: one message, however often the PUBLISH is repeated before PUBREL [MQTT-4.3.3-2]", async (t) => {
  const { port } = await startBroker(t);
  const subscriber = await MqttClient.connect(t, port, "subscriber");
  await subscriber.subscribe("a", 1);
  const publisher = await MqttClient.connect(t, port, "publisher");
  const exchange = async (messageId: number, repeats: number): Promise<void> => {
    for (let count = 0; count < repeats; count++) {
      publisher.send({
        cmd: "publish",
        topic: "a",
        payload: `m${messageId}`,
        qos: 2,
        messageId,
        dup: count > 0,
        retain: false,
      });
      t.equal((await publisher.next("pubrec")).messageId, messageId);
    }
    publisher.send({ cmd: "pubrel", messageId });
    t.equal((await publisher.next("pubcomp")).messageId, messageId);
  };
  await exchange(5, 3);
  await exchange(6, 1);
  await exchange(5, 1);
  t.same(
    [await subscriber.receive(), await subscriber.receive(), await subscriber.receive()],
    ["m5", "m6", "m5"],
  );
  t.same(await subscriber.settle(), []);
});

test("QoS 2 to a subscriber: PUBREC, PUBREL, PUBCOMP, then the identifier is free", async (t) => {
  const { port } = await startBroker(t);
  const subscriber = await MqttClient.connect(t, port, "subscriber");
  t.equal(await subscriber.subscribe("a", 2), 2);
  const publisher = await MqttClient.connect(t, port, "publisher");
  publisher.sendPublish("a", "m", { qos: 2, messageId: 1 });
  const { qos, messageId } = await subscriber.next("publish");
  t.equal(qos, 2);
  subscriber.send({ cmd: "pubrec", messageId });
  t.equal((await subscriber.next("pubrel")).messageId, messageId);
  subscriber.send({ cmd: "pubrec", messageId });
  t.equal((await subscriber.next("pubrel")).messageId, messageId, "a repeated PUBREC is answered again");
  subscriber.send({ cmd: "pubcomp", messageId });
  await subscriber.settle();
});

test("a message goes out at the lower of the publisher's and the subscription's QoS", async (t) => {
  const { port } = await startBroker(t);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (const granted of [0, 1, 2] as const) {
    const subscriber = await MqttClient.connect(t, port, `subscriber-${granted}`);
    await subscriber.subscribe("+", granted);
    for (const qos of [0, 1, 2] as const) {
      publisher.sendPublish("a", "m", { qos, messageId: 100 * (granted + 1) + qos });
      const packet = await subscriber.next("publish");
      t.equal(packet.qos, Math.min(qos, granted), `${qos} to ${granted}`);
      if (packet.qos === 1) subscriber.puback(packet.messageId);
    }
    await subscriber.disconnect();
  }
});

test("packets that come together with CONNECT are taken in order after the CONNACK", async (t) => {
  const { port } = await startBroker(t);
  const client = await MqttClient.open(t, port);
  client.socket.cork();
  client.sendConnect("eager");
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] });
  for (let number = 0; number < 100; number++)
    client.sendPublish("a", `m${number}`, { messageId: number + 2 });
  client.socket.uncork();
  await client.next("connack");
  await client.next("suback");
  for (let number = 0; number < 100; number++) {
    t.equal((await client.next("puback")).messageId, number + 2, "acknowledgements in order [MQTT-4.6.0-2]");
    t.equal(await client.receive(), `m${number}`);
  }
});

test("a CONNECT that comes byte by byte is a CONNECT", async (t) => {
  const { port } = await startBroker(t);
  const client = await MqttClient.open(t, port);
  client.socket.setNoDelay(true);
  for (const byte of generate({ cmd: "connect", clientId: "slow", clean: true, keepalive: 0 })) {
    await new Promise((sent) => client.socket.write(Buffer.from([byte]), sent));
  }
  t.equal((await client.next("connack")).returnCode, 0);
});

test("UNSUBSCRIBE and SUBSCRIBE in one segment leave the subscription in place", async (t) => {
  const { port } = await startBroker(t);
  const client = await MqttClient.connect(t, port, "client");
  await client.subscribe("a");
  client.socket.cork();
  client.send({ cmd: "unsubscribe", messageId: 8, unsubscriptions: ["a"] });
  client.send({ cmd: "subscribe", messageId: 9, subscriptions: [{ topic: "a", qos: 1 }] });
  client.socket.uncork();
  await client.next("unsuback");
  await client.next("suback");
  await client.publish("a", "m");
  t.equal(await client.receive(), "m");
});

test("filters that are not allowed are answered with 0x80, the others with their QoS", async (t) => {
  const { port } = await startBroker(t);
  const client = await MqttClient.connect(t, port, "client");
  client.send({
    cmd: "subscribe",
    messageId: 3,
    subscriptions: [
      { topic: "$share/p", qos: 1 },
      { topic: "a", qos: 1 },
      { topic: "$share/+/a", qos: 1 },
    ],
  });
  t.same((await client.next("suback")).granted, [0x80, 1, 0x80]);
});

test("bytes that are no MQTT close the connection, and nobody else notices", async (t) => {
  const { port, program } = await startBroker(t);
  const neighbour = await MqttClient.connect(t, port, "neighbour");
  await neighbour.subscribe("a");
  const broken: [string, Buffer, boolean][] = [
    ["not MQTT", Buffer.from("GET / HTTP/1.1\r\n\r\n"), false],
    ["a PUBLISH before CONNECT", Buffer.from([0x30, 3, 0, 1, 0x61]), false],
    ["a length of five digits", Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), true],
    ["a packet over the limit", Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]), true],
    ["both QoS bits", Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1]), true],
    ["QoS 0 with DUP", Buffer.from([0x38, 3, 0, 1, 0x61]), true],
    ["a topic longer than its packet", Buffer.from([0x30, 3, 0, 9, 0x61]), true],
    ["a wildcard in a topic", Buffer.from([0x30, 3, 0, 1, 0x23]), true],
    ["an empty topic", Buffer.from([0x30, 2, 0, 0]), true],
    ["U+0000 in a topic", Buffer.from([0x30, 3, 0, 1, 0]), true],
    ["bad UTF-8 in a topic", Buffer.from([0x30, 4, 0, 2, 0xc3, 0x28]), true],
    ["packet identifier 0", Buffer.from([0x32, 5, 0, 1, 0x61, 0, 0]), true],
    ["a second CONNECT", Buffer.from("100c00044d5154540402000000000000", "hex"), true],
    ["a CONNACK from a client", Buffer.from([0x20, 2, 0, 0]), true],
    ["a SUBSCRIBE with wrong flags", Buffer.from([0x80, 6, 0, 1, 0, 1, 0x61, 0]), true],
  ];
  for (const [name, bytes, connectFirst] of broken) {
    const client = connectFirst
      ? await MqttClient.connect(t, port, "broken")
      : await MqttClient.open(t, port);
    client.socket.write(bytes);
    await client.closed;
    t.pass(`${name} closes`);
  }
  await neighbour.publish("a", "m");
  t.equal(await neighbour.receive(), "m");
  t.equal(program.child.exitCode, null);
});

test("a stalled subscriber does not delay another, and its queue is bounded", async (t) => {
  const { port } = await startBroker(t, { args: ["--limits-max-queue-bytes", "1MiB"] });
  const stalled = await MqttClient.connect(t, port, "stalled");
  const reader = await MqttClient.connect(t, port, "reader");
  await stalled.subscribe("a", 0);
  await reader.subscribe("a", 0);
  stalled.socket.pause();
  const publisher = await MqttClient.connect(t, port, "publisher");
  const payload = "x".repeat(60_000);
  for (let number = 0; number < 400; number++) {
    await publisher.publish("a", payload);
    await reader.next("publish");
  }
  t.pass("24 MB passed the stalled one by");
});

test("the broker's heartbeat is retained and says until when it holds", async (t) => {
  const { port } = await startBroker(t, { args: ["--broker-id", "gateway 1"] });
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe("$share/p/ticks/#");
  const watcher = await MqttClient.connect(t, port, "watcher");
  await watcher.subscribe("heartbeat/brokers/+", 0);
  const first = await watcher.next("publish");
  t.match(first, { retain: true, topic: "heartbeat/brokers/gateway 1" });
  const live = JSON.parse((await watcher.next("publish")).payload.toString());
  t.match(live, {
    state: "up",
    broker: "gateway 1",
    durability: "disk",
    pools: [
      {
        name: "p",
        members: 1,
        backlog: 0,
        freeCredit: 16,
        memberReports: [{ clientId: "member", health: "HEALTHY" }],
      },
    ],
  });
  t.equal(live.expiresTimeMs - live.timeMs, 3_000);
});
