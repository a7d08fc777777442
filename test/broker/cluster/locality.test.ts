import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Teardown } from "../../support/teardown.ts";
import { pause, until } from "../../support/time.ts";
import { join, left, skip, startTwo, topic } from "./brokers.ts";

/** Counts what comes, and acknowledges after `workMs`. */
function work(t: Teardown, member: MqttClient, workMs: number): { count: number } {
  const counted = { count: 0 };
  let stopped = false;
  t.teardown(() => {
    stopped = true;
  });
  const run = async (): Promise<void> => {
    while (!stopped) {
      const packet = await member.next("publish", 200).catch(() => undefined);
      if (packet === undefined) continue;
      counted.count++;
      if (workMs > 0) await pause(workMs);
      member.puback(packet.messageId);
    }
  };
  void run();
  return counted;
}

async function startAll(t: Teardown, workMs: { a: number; b: number }) {
  const { redis, a, b } = await startTwo(t);
  const atA = work(t, await join(t, a.port, "at-a"), workMs.a);
  const atB = work(t, await join(t, b.port, "at-b"), workMs.b);
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  const done = (): Promise<number> => until(async () => (await left(redis)) === "0 entries, 0 bytes");
  return { atA, atB, publisher, done };
}

test("what is published where a member has nothing to do is that member's, although others wait, too", {
  skip,
}, async (t) => {
  const { atA, atB, publisher, done } = await startAll(t, { a: 0, b: 0 });
  // Both have said to the engine that they wait.
  await publisher.publish(topic, "first");
  await done();
  const before = atB.count;
  for (let n = 0; n < 50; n++) {
    await publisher.publish(topic, `tick ${n}`);
    await pause(5);
  }
  await done();
  t.equal(atA.count + atB.count, 51);
  t.ok(atB.count - before <= 5, `${atB.count - before} of 50 went to the other broker`);
});

test("what the own members have no time for goes to others at once", {
  skip,
}, async (t) => {
  const { atA, atB, publisher, done } = await startAll(t, { a: 50, b: 1 });
  for (let n = 0; n < 100; n++) {
    await publisher.publish(topic, `tick ${n}`);
    await pause(4);
  }
  await done();
  t.equal(atA.count + atB.count, 100);
  t.ok(atB.count > atA.count, `${atA.count} at the broker of the publisher, ${atB.count} at the other`);
});
