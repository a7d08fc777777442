import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli } from "../../support/redis.ts";
import { pause, until } from "../../support/time.ts";
import { reaches, skip, startMember, startTwo } from "./brokers.ts";

test("clients of one broker reach those of another", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);

  await t.test("a plain subscriber gets what is published on another broker, in order, once", async (t) => {
    const subscriber = await MqttClient.connect(t, b.port, "plain");
    await subscriber.subscribe("news/#");
    const local = await MqttClient.connect(t, a.port, "plain-local");
    await local.subscribe("news/+");
    const publisher = await MqttClient.connect(t, a.port, "publisher");
    await reaches(publisher, "news/x", subscriber);
    for (let n = 0; n < 100; n++) publisher.sendPublish("news/x", `${n}`);
    for (let n = 0; n < 100; n++) t.equal(await subscriber.receive(), `${n}`);
    await subscriber.unsubscribe("news/#");
    await pause(100);
    publisher.sendPublish("news/x", "late");
    await pause(100);
    t.same(await subscriber.settle(), []);
  });

  await t.test("a retained message is kept by all brokers", async (t) => {
    const publisher = await MqttClient.connect(t, a.port, "retainer");
    await publisher.publish("last/x", "1", { retain: true });
    await publisher.publish("last/x", "2", { retain: true });
    const subscriber = await MqttClient.connect(t, b.port, "late");
    await subscriber.subscribe("last/#");
    t.equal(await subscriber.receive(), "2");
    await publisher.publish("last/x", "", { retain: true });
    await until(async () => {
      subscriber.inbox.length = 0;
      await subscriber.subscribe("last/#");
      return (await subscriber.settle()).every(({ payload }) => payload.length === 0);
    });
  });

  await t.test("a client that connects to another broker is gone from the first", async (t) => {
    const first = await MqttClient.connect(t, a.port, "same");
    const second = await MqttClient.connect(t, b.port, "same");
    await first.closed;
    t.same(await second.settle(), []);
  });

  await t.test("a persistent session moves with its client, with its queue in order", async (t) => {
    /** The engine is told of acknowledgements a little later. */
    const settled = () => until(() => cli(redis, "XLEN", "equipoise:{default}:queue:/mover") === "0");
    const first = await MqttClient.connect(t, a.port, "mover", { clean: false });
    t.equal(first.sessionPresent, false);
    await first.subscribe("moves/#");
    const publisher = await MqttClient.connect(t, b.port, "moves-publisher");
    await reaches(publisher, "moves/x", first);
    await settled();
    await publisher.publish("moves/x", "0");
    await first.next("publish");
    for (let n = 1; n < 50; n++) await publisher.publish("moves/x", `${n}`);
    const second = await MqttClient.connect(t, b.port, "mover", { clean: false });
    await first.closed;
    t.equal(second.sessionPresent, true);
    for (let n = 0; n < 50; n++) t.equal(await second.receive(), `${n}`);
    await settled();
    second.drop();
    for (let n = 50; n < 60; n++) await publisher.publish("moves/x", `${n}`);
    const third = await MqttClient.connect(t, a.port, "mover", { clean: false });
    t.equal(third.sessionPresent, true);
    for (let n = 50; n < 60; n++) t.equal(await third.receive(), `${n}`);
    const fresh = await MqttClient.connect(t, b.port, "mover", { clean: true });
    t.equal(fresh.sessionPresent, false);
    fresh.drop();
    await pause(100);
    const again = await MqttClient.connect(t, a.port, "mover", { clean: false });
    t.equal(again.sessionPresent, false, "a clean session has ended the old one");
  });
});

test("what waits for a persistent session outlives its broker", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const first = await MqttClient.connect(t, a.port, "keeper", { clean: false });
  await first.subscribe("kept/#");
  first.drop();
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  for (let n = 0; n < 20; n++) await publisher.publish("kept/x", `${n}`);
  await publisher.publish("kept/last", "r", { retain: true });
  await a.program.stop("SIGKILL");
  const second = await MqttClient.connect(t, b.port, "keeper", { clean: false });
  t.equal(second.sessionPresent, true);
  for (let n = 0; n < 20; n++) t.equal(await second.receive(), `${n}`);
  const c = await startMember(t, redis.url, "c");
  const subscriber = await MqttClient.connect(t, c.port, "new");
  await subscriber.subscribe("kept/last");
  t.equal(await subscriber.receive(), "r", "a new broker knows retained messages");
});

test("a will is published by another broker when its own dies with the client", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const will = { topic: "wills/x", payload: Buffer.from("gone"), qos: 1, retain: false };
  await MqttClient.connect(t, a.port, "mortal", { will });
  const other = await MqttClient.connect(t, a.port, "careful", {
    will: { ...will, payload: Buffer.from("no") },
  });
  await other.disconnect();
  const subscriber = await MqttClient.connect(t, b.port, "heir");
  await subscriber.subscribe("wills/#");
  const known = (): string => cli(redis, "HKEYS", cli(redis, "KEYS", "equipoise:{default}:wills:a#*"));
  await until(() => known() === "mortal");
  await a.program.stop("SIGKILL");
  t.equal(await subscriber.receive(), "gone");
  await pause(200);
  t.same(await subscriber.settle(), []);
});
