/**
 * What aedes 1.2.0 gets wrong when it has the socket to itself (docs/decisions/0001-gate.md): each check holds for the
 * broker and fails on bare aedes. When one no longer fails there, the gate may have become simpler.
 */
import t, { test } from "tap";
import { startBareAedes } from "../../support/bare-aedes.ts";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Teardown } from "../../support/teardown.ts";
import { answerTo, connectPacket, field, packet } from "./raw.ts";

interface Target {
  t: Teardown;
  port: number;
  /** How long an answer may take; short where none is expected. */
  waitMs: number;
}

/** True when the claim holds; an exception means that it does not. */
type Check = (target: Target) => Promise<boolean>;

const ours = await startBroker(t, { args: ["--durability", "memory", "--limits-max-in-flight", "10"] });
const bare = await startBareAedes(t);
const slow = await startBareAedes(t, ["slow-store"]);

function fact(claim: string, check: Check, bareAedes = bare): void {
  test(claim, async (t) => {
    t.equal(await check({ t, port: ours.port, waitMs: 10_000 }), true, "the broker");
    const held = await check({ t, port: bareAedes.port, waitMs: 700 }).catch(() => false);
    t.equal(held, false, "bare aedes");
  });
}

const persistent = { clean: false } as const;

async function segment(client: MqttClient, packets: readonly object[]): Promise<void> {
  client.socket.cork();
  for (const one of packets) client.send(one);
  client.socket.uncork();
}

/** Still answers; false once closed. @param waitMs short only where an answer proves that the claim holds */
async function alive(client: MqttClient, waitMs?: number): Promise<boolean> {
  client.send({ cmd: "pingreq" });
  return await client.next("pingresp", waitMs).then(
    () => true,
    () => false,
  );
}

fact("one stalled subscriber does not silence its topic", async ({ t, port, waitMs }) => {
  const stalled = await MqttClient.connect(t, port, "stalled");
  const reader = await MqttClient.connect(t, port, "reader");
  await stalled.subscribe("stall", 0);
  await reader.subscribe("stall", 0);
  stalled.socket.pause();
  const publisher = await MqttClient.connect(t, port, "stall-publisher");
  const payload = "x".repeat(60_000);
  for (let number = 0; number < 300; number++) {
    publisher.sendPublish("stall", payload, { qos: 1 });
    await publisher.next("puback", waitMs);
    await reader.next("publish", waitMs);
  }
  stalled.drop();
  return true;
});

fact("a shared subscription gives each message to one member", async ({ t, port, waitMs }) => {
  const members = [await MqttClient.connect(t, port, "m1"), await MqttClient.connect(t, port, "m2")];
  for (const member of members) await member.subscribe("$share/p/shared", 1);
  const publisher = await MqttClient.connect(t, port, "shared-publisher");
  for (let number = 0; number < 10; number++) await publisher.publish("shared", `${number}`);
  const deadline = performance.now() + waitMs;
  let count = 0;
  while (count < 10 && performance.now() < deadline) {
    const seen = await Promise.all(members.map((member) => member.settle()));
    count = seen.flat().length;
  }
  return (
    count === 10 &&
    new Set(members.flatMap(({ inbox }) => inbox.map(({ payload }) => `${payload}`))).size === 10
  );
});

fact("a subscriber that acknowledges nothing gets its window and no more", async ({ t, port }) => {
  const client = await MqttClient.connect(t, port, "window");
  await client.subscribe("window", 1);
  const publisher = await MqttClient.connect(t, port, "window-publisher");
  for (let number = 0; number < 50; number++) await publisher.publish("window", "m");
  return (await client.settle()).length === 10;
});

fact("a denied filter of a SUBSCRIBE stays denied when its session returns", async ({ t, port }) => {
  // Over 32 levels, which both refuse; its parent is a topic of 32 that both take.
  const topic = `denied${"/x".repeat(31)}`;
  const first = await MqttClient.connect(t, port, "denied", persistent);
  const subscriptions = [
    { topic: "granted", qos: 1 },
    { topic: `${topic}/#`, qos: 1 },
  ];
  first.send({ cmd: "subscribe", messageId: 9, subscriptions });
  const { granted } = await first.next("suback");
  if (granted.join() !== "1,128") throw new Error(`granted ${granted}`);
  await first.disconnect();
  const publisher = await MqttClient.connect(t, port, "denied-publisher");
  await publisher.publish(topic, "m");
  await publisher.publish("granted", "m");
  const second = await MqttClient.connect(t, port, "denied", persistent);
  const message = await second.next("publish");
  return message.topic === "granted" && (await second.settle()).length === 0;
});

fact("UNSUBSCRIBE and SUBSCRIBE in one segment leave the subscription", async ({ t, port, waitMs }) => {
  const client = await MqttClient.connect(t, port, "unsub-sub");
  await client.subscribe("unsub-sub", 1);
  await segment(client, [
    { cmd: "unsubscribe", messageId: 8, unsubscriptions: ["unsub-sub"] },
    { cmd: "subscribe", messageId: 9, subscriptions: [{ topic: "unsub-sub", qos: 1 }] },
  ]);
  await client.next("unsuback");
  await client.next("suback");
  await client.publish("unsub-sub", "m");
  return (await client.receive(waitMs)) === "m";
});

fact("a retained PUBLISH and a SUBSCRIBE in one segment give one copy", async ({ t, port, waitMs }) => {
  const client = await MqttClient.connect(t, port, "one-copy");
  const publish = { cmd: "publish", topic: "one-copy", payload: "m", dup: false, retain: true };
  await segment(client, [
    { ...publish, qos: 1, messageId: 1 },
    { cmd: "subscribe", messageId: 2, subscriptions: [{ topic: "one-copy", qos: 1 }] },
  ]);
  await client.next("publish", waitMs);
  await client.settle();
  await client.settle();
  return client.inbox.filter(({ cmd }) => cmd === "publish").length === 0;
});

fact(
  "persistent subscribers survive a store that takes its time",
  async ({ t, port, waitMs }) => {
    const clients: MqttClient[] = [];
    for (let number = 0; number < 60; number++) {
      const client = await MqttClient.connect(t, port, `slow-${number}`, persistent);
      client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "slow/+", qos: 1 }] });
      client.send({
        cmd: "publish",
        topic: "slow/a",
        payload: "m",
        qos: 1,
        messageId: 2,
        dup: false,
        retain: false,
      });
      clients.push(client);
    }
    const living = await Promise.all(clients.map((client) => alive(client, waitMs)));
    return living.every(Boolean);
  },
  slow,
);

fact("a persistent subscriber of k/+/b survives QoS 1 to k//b", async ({ t, port, waitMs }) => {
  const client = await MqttClient.connect(t, port, "levels", persistent);
  await client.subscribe("k/+/b", 1);
  const publisher = await MqttClient.connect(t, port, "levels-publisher");
  await publisher.publish("k//b", "m");
  return (await client.receive(waitMs)) === "m" && (await alive(client, waitMs));
});

fact("what is sent again has DUP [MQTT-3.3.1-1]", async ({ t, port, waitMs }) => {
  const first = await MqttClient.connect(t, port, "dup", persistent);
  await first.subscribe("dup", 1);
  const publisher = await MqttClient.connect(t, port, "dup-publisher");
  await publisher.publish("dup", "m");
  await first.next("publish", waitMs);
  first.drop();
  const second = await MqttClient.connect(t, port, "dup", persistent);
  return (await second.next("publish", waitMs)).dup === true;
});

fact(
  "QoS 2 to a wildcard subscription of QoS 1 goes out at QoS 1 [MQTT-3.8.4-6]",
  async ({ t, port, waitMs }) => {
    const client = await MqttClient.connect(t, port, "lower");
    await client.subscribe("lower/+", 1);
    const publisher = await MqttClient.connect(t, port, "lower-publisher");
    publisher.sendPublish("lower/a", "m", { qos: 2, messageId: 1 });
    await publisher.next("pubrec", waitMs);
    publisher.send({ cmd: "pubrel", messageId: 1 });
    return (await client.next("publish", waitMs)).qos === 1;
  },
);

fact("a persistent subscriber survives a retained QoS 2 message", async ({ t, port, waitMs }) => {
  const publisher = await MqttClient.connect(t, port, "retained2-publisher");
  publisher.sendPublish("retained2", "m", { qos: 2, retain: true, messageId: 1 });
  await publisher.next("pubrec", waitMs);
  publisher.send({ cmd: "pubrel", messageId: 1 });
  await publisher.next("pubcomp", waitMs);
  const client = await MqttClient.connect(t, port, "retained2", persistent);
  await client.subscribe("retained2", 2);
  const { messageId } = await client.next("publish", waitMs);
  client.send({ cmd: "pubrec", messageId });
  await client.next("pubrel", waitMs);
  client.send({ cmd: "pubcomp", messageId });
  return await alive(client, waitMs);
});

fact("invalid UTF-8 in a topic closes [MQTT-1.5.3-1]", async ({ t, port }) => {
  const client = await MqttClient.connect(t, port, "utf8");
  client.socket.write(packet(0x30, field(Buffer.from([0xc3, 0x28])), Buffer.from("m")));
  return !(await alive(client));
});

fact("U+0000 in a topic closes [MQTT-1.5.3-2]", async ({ t, port }) => {
  const client = await MqttClient.connect(t, port, "nul");
  client.socket.write(packet(0x30, field("a\0b"), Buffer.from("m")));
  return !(await alive(client));
});

fact("an empty identifier with CleanSession 0 is refused with 2 [MQTT-3.1.3-8]", async ({ t, port }) => {
  return (await answerTo(t, port, connectPacket({ id: "", flags: 0 }))) === 2;
});

fact("an unknown protocol level is refused with 1 [MQTT-3.1.2-2]", async ({ t, port }) => {
  return (await answerTo(t, port, connectPacket({ level: 9 }))) === 1;
});

fact("a session without subscriptions is present [MQTT-3.2.2-2]", async ({ t, port }) => {
  await (await MqttClient.connect(t, port, "bare-session", persistent)).disconnect();
  return (await MqttClient.connect(t, port, "bare-session", persistent)).sessionPresent;
});

fact("a hundred packets may come with the CONNECT [MQTT-3.1.4-5]", async ({ t, port, waitMs }) => {
  const client = await MqttClient.open(t, port);
  client.socket.cork();
  client.sendConnect("eager");
  for (let number = 1; number <= 100; number++) client.sendPublish("eager", "m", { messageId: number });
  client.socket.uncork();
  for (let number = 1; number <= 100; number++) await client.next("puback", waitMs);
  return true;
});

fact("a repeated filter has a code of its own [MQTT-3.8.4-5]", async ({ t, port }) => {
  const client = await MqttClient.connect(t, port, "repeated");
  const subscriptions = [0, 1, 2].map((qos) => ({ topic: "repeated", qos }));
  client.send({ cmd: "subscribe", messageId: 1, subscriptions });
  return (await client.next("suback")).granted.join() === "0,1,2";
});
