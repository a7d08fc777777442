import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli } from "../../support/redis.ts";
import { pause, until } from "../../support/time.ts";
import { join, left, publishAll, receiveAll, skip, startTwo, topic, unsettled } from "./brokers.ts";

test("what a killed broker held comes to members on another within seconds", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const doomed = await join(t, a.port, "doomed");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publishAll(publisher, 100);
  await doomed.next("publish");
  const other = await join(t, b.port, "other");
  await a.program.stop("SIGKILL");
  const beganMs = performance.now();
  const received = await receiveAll([other], 100);
  t.equal(received.size, 100, `after ${Math.round(performance.now() - beganMs)} ms`);
  await until(async () => (await left(redis)) === "0 entries, 0 bytes");
});

test("a takeover repeats only what was not settled", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const first = await join(t, a.port, "first");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publishAll(publisher, 10);
  const settled = new Set([await first.receive(), await first.receive(), await first.receive()]);
  // Parts of entries are told to the engine a little later.
  await until(() => unsettled(redis) === 7);
  const other = await join(t, b.port, "other");
  await a.program.stop("SIGKILL");
  const received = await receiveAll([other], 7);
  await pause(300);
  t.ok(
    [...settled].every((text) => !received.has(text)),
    "none of the three came again",
  );
  t.same(await other.settle(), []);
});

test("a broker that stops leaves to the others what its members do not finish in time", {
  skip,
}, async (t) => {
  const { a, b } = await startTwo(t, {}, ["--shutdown-timeout-ms", "1500"]);
  const mute = await join(t, a.port, "mute");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publishAll(publisher, 10);
  await mute.next("publish");
  const other = await join(t, b.port, "other");
  t.equal(await a.program.stop(), 0);
  t.equal((await receiveAll([other], 10)).size, 10);
});

test("what waits for members that have left goes to another broker's", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  const mute = await join(t, a.port, "mute");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publishAll(publisher, 20);
  await mute.next("publish");
  const other = await join(t, b.port, "other");
  mute.drop();
  t.equal((await receiveAll([other], 20)).size, 20);
});

test("a broker that was stopped for a while gives up what others have taken over", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const slow = await join(t, a.port, "slow");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publishAll(publisher, 200);
  await slow.next("publish");
  const other = await join(t, b.port, "other");
  a.program.child.kill("SIGSTOP");
  const received = await receiveAll([other], 200);
  t.equal(received.size, 200);
  a.program.child.kill("SIGCONT");
  await a.program.event("broker.takenForDead");
  await publisher.publish(topic, "after");
  await until(async () => {
    for (const client of [slow, other]) {
      for (
        let text = await client.receive(50).catch(() => "");
        text !== "";
        text = await client.receive(50).catch(() => "")
      )
        if (text === "after") return true;
    }
    return false;
  });
  await until(async () => (await left(redis)) === "0 entries, 0 bytes");
  t.pass("and takes part again");
});

test("a frozen broker notes no failed attempts of what others have taken over", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const slow = await join(t, a.port, "slow");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publishAll(publisher, 20);
  const { messageId } = await slow.next("publish");
  const other = await join(t, b.port, "other");
  a.program.child.kill("SIGSTOP");
  slow.sendPublish("members/slow/reject", JSON.stringify({ packetId: messageId, reason: "late" }), {
    qos: 0,
  });
  t.equal((await receiveAll([other], 20)).size, 20);
  await until(async () => (await left(redis)) === "0 entries, 0 bytes");
  a.program.child.kill("SIGCONT");
  await a.program.event("delivery.failed");
  await pause(300);
  t.same(cli(redis, "HKEYS", "equipoise:{default}:state:p/ticks/#").split("\n").sort(), [
    "bytes",
    "messages",
  ]);
});
