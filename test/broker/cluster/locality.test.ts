import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Teardown } from "../../support/teardown.ts";
import { pause, until } from "../../support/time.ts";
import { join, left, skip, startTwo, topic } from "./brokers.ts";

/** Counts what comes, and acknowledges when there is time for it. */
function work(t: Teardown, member: MqttClient, time: Promise<void> | undefined): { count: number } {
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
      await time;
      member.puback(packet.messageId);
    }
  };
  void run();
  return counted;
}

/** @param timeAtA when the member at the publisher's broker has time; at once without it */
async function startAll(t: Teardown, timeAtA?: Promise<void>) {
  const { redis, a, b } = await startTwo(t);
  const members = [await join(t, a.port, "at-a"), await join(t, b.port, "at-b")] as const;
  const atA = work(t, members[0], timeAtA);
  const atB = work(t, members[1], undefined);
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  const done = (): Promise<number> => until(async () => (await left(redis)) === "0 entries, 0 bytes");
  return { members, atA, atB, publisher, done };
}

test("what is published where a member has nothing to do is that member's, although others wait, too", {
  skip,
}, async (t) => {
  const { members, atA, atB, publisher, done } = await startAll(t);
  // Both have said to the engine that they wait.
  await publisher.publish(topic, "first");
  await done();
  const before = atB.count;
  for (let n = 0; n < 50; n++) {
    await publisher.publish(topic, `tick ${n}`);
    // It has got what there is, and its broker has its acknowledgement.
    for (const member of members) await member.settle();
    await pause(5);
  }
  await done();
  t.equal(atA.count + atB.count, 51);
  t.ok(atB.count - before <= 5, `${atB.count - before} of 50 went to the other broker`);
});

test("what the own members have no time for goes to others at once", {
  skip,
}, async (t) => {
  const time = Promise.withResolvers<void>();
  const { atA, atB, publisher, done } = await startAll(t, time.promise);
  for (let n = 0; n < 100; n++) await publisher.publish(topic, `tick ${n}`);
  await until(() => atB.count > 50);
  time.resolve();
  await done();
  t.equal(atA.count + atB.count, 100);
  t.ok(atB.count > atA.count, `${atA.count} at the broker of the publisher, ${atB.count} at the other`);
});
