/** What an acknowledgement stands for when the engine is slow, full, or comes back. */
import { test } from "tap";
import { declared } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli, startRedis } from "../../support/redis.ts";
import { pause } from "../../support/time.ts";
import { join, receiveAll, skip, startAcrossWire, startMember, topic } from "./brokers.ts";

test("a retained message that nobody gets is acknowledged only after the engine has it", {
  skip,
}, async (t) => {
  const redis = await startRedis(t);
  const a = await startMember(t, redis.url, "a");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  redis.program.child.kill("SIGSTOP");
  publisher.sendPublish("last/x", "kept", { retain: true });
  await t.rejects(publisher.next("puback", 300));
  redis.program.child.kill("SIGCONT");
  await publisher.next("puback");
  t.ok(cli(redis, "HGET", "equipoise:{default}:retained", "last/x").endsWith("kept"));
});

test("a broker that starts on a full engine takes from its queues, which makes room", { skip }, async (t) => {
  const redis = await startRedis(t);
  const a = await startMember(t, redis.url, "a", { args: declared() });
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  for (let n = 0; n < 50; n++) await publisher.publish(topic, `tick ${n}`);
  await a.program.stop("SIGKILL");
  cli(redis, "CONFIG", "SET", "maxmemory", "1mb");
  const b = await startMember(t, redis.url, "b", { args: declared() });
  const member = await join(t, b.port, "member");
  t.equal((await receiveAll([member], 50)).size, 50);
});

test("a batch whose answer was lost is stored once although its broker was taken for dead", {
  skip,
}, async (t) => {
  const { wire, a, b } = await startAcrossWire(t, ...declared());
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish(topic, "before");
  wire.refuse = true;
  for (const link of wire.links()) link.holdAnswers();
  publisher.sendPublish(topic, "once");
  await b.program.event("broker.dead");
  wire.refuse = false;
  await publisher.next("puback");
  const member = await join(t, b.port, "member");
  t.same([await member.receive(), await member.receive()], ["before", "once"]);
  await pause(300);
  t.same(await member.settle(), []);
});
