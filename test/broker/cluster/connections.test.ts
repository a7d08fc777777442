/** Connections to the engine that stop without an end: what a firewall leaves that has forgotten them. */
import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { startRedis } from "../../support/redis.ts";
import { startWire, type WireLink } from "../../support/wire.ts";
import { declared, join, skip, startMember, topic, until } from "./brokers.ts";

async function startBehindWire(t: Parameters<typeof startRedis>[0]) {
  const redis = await startRedis(t);
  const wire = await startWire(t, redis.port);
  const a = await startMember(t, `redis://127.0.0.1:${wire.port}`, "a", { args: declared() });
  const b = await startMember(t, redis.url, "b", { args: declared() });
  const linkOf = (said: string): WireLink => {
    const found = wire.links().find((link) => link.said.includes(said));
    if (found === undefined) throw new Error(`nobody has said ${said}`);
    return found;
  };
  return { a, b, wire, linkOf };
}

test("a queue is watched again when the connection that watches it has stopped", { skip }, async (t) => {
  const { a, b, linkOf } = await startBehindWire(t);
  const member = await join(t, a.port, "member");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publisher.publish(topic, "first");
  t.equal(await member.receive(), "first");
  linkOf("BLOCK").freeze();
  await publisher.publish(topic, "second");
  t.equal(await member.receive(), "second");
});

test("news are heard again when the connection that brings them has stopped", { skip }, async (t) => {
  const { a, b, linkOf } = await startBehindWire(t);
  const here = await MqttClient.connect(t, a.port, "same");
  linkOf("subscribe").freeze();
  await until(() => a.program.lines.filter(({ event }) => event === "engine.here").length === 2);
  await MqttClient.connect(t, b.port, "same");
  await here.closed;
});
