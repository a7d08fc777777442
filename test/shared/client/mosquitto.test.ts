import { setTimeout as delay } from "node:timers/promises";
import { joinPool, subscribe } from "@equipoise/shared/client";
import { connectAsync } from "mqtt";
import { test } from "tap";
import { skipUnless } from "../../support/debian.ts";
import { startMosquitto } from "../../support/mosquitto.ts";
import { topic, tradeJson } from "./fixtures.ts";

const skip = skipUnless("mosquitto", "mosquitto");

test("two members of a pool share every message of another vendor's broker, an exclusive consumer gets all", {
  skip,
}, async (t) => {
  // Beyond 1,000 messages in a client's queue it throws away, which a busy machine reaches.
  const { url } = await startMosquitto(t, ["max_queued_messages 0"]);
  const total = 2_000;
  const shared = new Map<number, number>();
  const all: number[] = [];
  const gaps: unknown[] = [];
  const done = Promise.withResolvers<void>();
  const checkDone = (): void => {
    if (shared.size === total && all.length === total) done.resolve();
  };
  const members = [1, 2].map(() =>
    joinPool({
      broker: url,
      pool: "p",
      filter: "ticks/#",
      concurrency: 4,
      handler: async ({ seq }) => {
        await delay(seq % 3);
        shared.set(seq, (shared.get(seq) ?? 0) + 1);
        checkDone();
      },
    }),
  );
  const reader = subscribe({
    broker: url,
    filter: "ticks/#",
    handler: ({ seq }) => {
      all.push(seq);
      checkDone();
    },
    onGap: (missing) => void gaps.push(missing),
  });
  const consumers = [...members, reader];
  t.teardown(() => Promise.all(consumers.map((consumer) => consumer.stop())));
  await Promise.all(consumers.map((consumer) => consumer.start()));
  const publisher = await connectAsync(url);
  t.teardown(() => publisher.endAsync());
  for (let seq = 1; seq <= total; seq += 200) {
    const batch = Array.from({ length: 200 }, (_, index) => seq + index);
    await Promise.all(batch.map((each) => publisher.publishAsync(topic, tradeJson(each), { qos: 1 })));
  }
  await done.promise;
  t.ok([...shared.values()].every((times) => times === 1));
  t.ok(members.every(({ stats }) => stats.handled > 0));
  t.same(
    all,
    Array.from({ length: total }, (_, index) => index + 1),
  );
  t.same(gaps, []);
});
