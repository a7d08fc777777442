/** What the engine gives to a broker after it was taken for dead, because its question was there already. */
import { type Test, test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { join, left, publishAll, receiveAll, skip, startTwo, topic } from "./brokers.ts";

const pending = "XPENDING equipoise:{default}:queue:p/ticks/# pool".split(" ");

/** A broker that was frozen while it watched the queue has been given all that came after its death. */
async function startLate(t: Test) {
  const { redis, a, b } = await startTwo(t);
  const member = await join(t, a.port, "member");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  // Its wait begins anew.
  await publisher.publish(topic, "first");
  t.equal(await member.receive(), "first");
  await until(async () => (await left(redis)) === "0 entries, 0 bytes");
  // Before its wait ends by itself: at once, not when it has been silent for a second.
  a.program.child.kill("SIGSTOP");
  cli(redis, "DEL", cli(redis, "KEYS", "equipoise:{default}:broker:a#*"));
  await b.program.event("broker.dead");
  await publishAll(publisher, 32);
  // On a busy machine the other one has seen that already, and taken it away again.
  t.match(cli(redis, ...pending), /a#|released/, "given to the dead one");
  return { redis, a, b, member };
}

test("what a dead broker was given late goes to others although it never wakes", { skip }, async (t) => {
  const { redis, b } = await startLate(t);
  const other = await join(t, b.port, "other");
  t.equal((await receiveAll([other], 32)).size, 32);
  await until(async () => (await left(redis)) === "0 entries, 0 bytes");
});

test("what a frozen broker was given late is delivered when it wakes", { skip }, async (t) => {
  const { redis, a, member } = await startLate(t);
  a.program.child.kill("SIGCONT");
  await a.program.event("broker.takenForDead");
  const received = new Set<string>();
  await until(async () => {
    // What it had got before it noticed its death comes again.
    const text = await member.receive(50).catch(() => undefined);
    if (text !== undefined) received.add(text);
    return (await left(redis)) === "0 entries, 0 bytes";
  });
  t.equal(received.size, 32);
});
