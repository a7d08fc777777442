import { joinPool } from "@equipoise/shared/client";
import { connectAsync } from "mqtt";
import { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { topic, tradeJson } from "./fixtures.ts";

test("what one member rejects another one handles, and a member that leaves loses nothing", async (t) => {
  const { url } = await startBroker(t);
  const total = 300;
  const handled = new Map<number, number>();
  const rejectedBy = new Set<number>();
  const done = Promise.withResolvers<void>();
  const take = (seq: number): void => {
    handled.set(seq, (handled.get(seq) ?? 0) + 1);
    if (handled.size === total) done.resolve();
  };
  const pool = { broker: url, pool: "p", filter: "ticks/#", concurrency: 4 };
  const picky = joinPool({
    ...pool,
    handler: ({ seq }) => {
      if (seq % 2 === 1) {
        rejectedBy.add(seq);
        throw new Error("odd");
      }
      take(seq);
    },
  });
  const steady = joinPool({ ...pool, handler: ({ seq }) => take(seq) });
  const leaving = joinPool({
    ...pool,
    handler: ({ seq }) => {
      take(seq);
      if (leaving.stats.handled === 10) void leaving.stop("running");
    },
  });
  const members = [picky, steady, leaving];
  t.teardown(() => Promise.all(members.map((member) => member.stop())));
  await Promise.all(members.map((member) => member.start()));
  const publisher = await connectAsync(url);
  t.teardown(() => publisher.endAsync());
  const seqs = Array.from({ length: total }, (_, index) => index + 1);
  await Promise.all(seqs.map((seq) => publisher.publishAsync(topic, tradeJson(seq), { qos: 1 })));
  await done.promise;
  t.ok(rejectedBy.size > 0);
  t.equal(handled.size, total);
  t.ok(
    [...handled.values()].every((times) => times === 1),
    "nobody crashed, so nothing was handled twice",
  );
});
