import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";

const { port } = await startBroker(t, { args: ["--durability", "memory"] });

type Qos = 0 | 1 | 2;
const will = (topic: string, payload = "m", qos: Qos = 1, retain = false) => ({
  will: { topic, payload: Buffer.from(payload), qos, retain },
});

async function watch(t: Parameters<typeof MqttClient.connect>[0], filter: string): Promise<MqttClient> {
  const watcher = await MqttClient.connect(t, port, "");
  await watcher.subscribe(filter, 2);
  return watcher;
}

test("[MQTT-3.1.2-8] [MQTT-3.1.2-9] [MQTT-3.1.2-16] the will goes out when the connection breaks, at its own QoS", async (t) => {
  const watcher = await watch(t, "broken/#");
  for (const qos of [0, 1, 2] as const) {
    (await MqttClient.connect(t, port, "broken", will(`broken/${qos}`, "m", qos))).drop();
    t.match(await watcher.next("publish"), { topic: `broken/${qos}`, qos, retain: false });
  }
});

test("[MQTT-3.1.2-17] a will with retain is kept, an empty one removes what was kept", async (t) => {
  for (const qos of [0, 1, 2] as const) {
    const live = await watch(t, "kept");
    (await MqttClient.connect(t, port, "kept", will("kept", "last words", qos, true))).drop();
    t.match(await live.next("publish"), { retain: false, qos });
    const late = await watch(t, "kept");
    const message = await late.next("publish");
    t.match(message, { retain: true, qos });
    t.equal(message.payload.toString(), "last words");
    (await MqttClient.connect(t, port, "kept", will("kept", "", qos, true))).drop();
    t.equal((await late.next("publish")).payload.length, 0);
    t.same(await (await watch(t, "kept")).settle(), []);
  }
});

test("[MQTT-3.1.2-12] [MQTT-3.1.2-10] no will, no message; one will, one message", async (t) => {
  const watcher = await watch(t, "once");
  (await MqttClient.connect(t, port, "once")).drop();
  (await MqttClient.connect(t, port, "once", will("once"))).drop();
  await watcher.next("publish");
  const next = await MqttClient.connect(t, port, "once");
  await next.disconnect();
  t.same(await watcher.settle(), []);
});

test("[MQTT-3.1.2-10] [MQTT-3.14.4-3] DISCONNECT voids the will, also at once after CONNECT", async (t) => {
  const watcher = await watch(t, "void/#");
  for (let round = 0; round < 20; round++) {
    const client = await MqttClient.open(t, port);
    client.socket.cork();
    client.sendConnect(`void-${round}`, will(`void/${round}`));
    if (round % 2 === 0)
      client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "x", qos: 0 }] });
    client.send({ cmd: "disconnect" });
    client.socket.uncork();
    if (round % 4 < 2) client.socket.end();
    await client.closed;
  }
  t.same(await watcher.settle(), []);
});

test("the will goes out for a protocol error, a keepalive that ran out, a takeover and a half close", async (t) => {
  const watcher = await watch(t, "cause/#");
  const error = await MqttClient.connect(t, port, "error", will("cause/error"));
  error.socket.write(Buffer.from([0xf0, 0]));
  t.equal((await watcher.next("publish")).topic, "cause/error");
  await MqttClient.connect(t, port, "taken", will("cause/taken"));
  await MqttClient.connect(t, port, "taken");
  t.equal((await watcher.next("publish")).topic, "cause/taken");
  const half = await MqttClient.connect(t, port, "half", will("cause/half"));
  half.socket.end();
  t.equal((await watcher.next("publish")).topic, "cause/half");
  await half.closed;
  await MqttClient.connect(t, port, "silent", { keepalive: 1, ...will("cause/silent") });
  t.equal((await watcher.next("publish")).topic, "cause/silent");
});

test("the will of a client comes after what it had published", async (t) => {
  const watcher = await watch(t, "after/#");
  const client = await MqttClient.connect(t, port, "after", will("after/will", "will"));
  for (let number = 1; number <= 20; number++)
    client.sendPublish("after/m", `${number}`, { messageId: number });
  client.socket.end();
  for (let number = 1; number <= 20; number++) t.equal(await watcher.receive(), `${number}`);
  t.equal(await watcher.receive(), "will");
});
