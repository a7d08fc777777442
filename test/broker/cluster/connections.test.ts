/** Connections to the engine that stop without an end: what a firewall leaves that has forgotten them. */
import { test } from "tap";
import { declared } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { until } from "../../support/time.ts";
import { count, join, skip, startAcrossWire, topic } from "./brokers.ts";

test("a queue is watched again when the connection that watches it has stopped", { skip }, async (t) => {
  const { a, b, linkOf } = await startAcrossWire(t, ...declared());
  const member = await join(t, a.port, "member");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publisher.publish(topic, "first");
  t.equal(await member.receive(), "first");
  (await linkOf("BLOCK")).freeze();
  await publisher.publish(topic, "second");
  t.equal(await member.receive(), "second");
});

test("news are heard again when the connection that brings them has stopped", { skip }, async (t) => {
  const { a, b, linkOf } = await startAcrossWire(t, ...declared());
  const here = await MqttClient.connect(t, a.port, "same");
  const before = count(a, "engine.here");
  (await linkOf("subscribe")).freeze();
  await until(() => count(a, "engine.here") > before);
  await MqttClient.connect(t, b.port, "same");
  await here.closed;
});
