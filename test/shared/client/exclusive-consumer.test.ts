import { type MissingTicks, subscribe } from "@equipoise/shared/client";
import { test } from "tap";
import { startScriptedBroker } from "../../support/scripted-broker.ts";
import { deferred, topic, tradeJson } from "./fixtures.ts";

test("an exclusive consumer handles in order, tells each gap once and before the record that proved it", async (t) => {
  const broker = await startScriptedBroker(t);
  const log: string[] = [];
  const consumer = subscribe({
    broker: broker.url,
    filter: "ticks/#",
    handler: async ({ seq }) => {
      await new Promise(setImmediate);
      log.push(`record ${seq}`);
      if (seq === 5 && !log.includes("record 6")) throw new Error("once");
    },
    resend: false,
    onGap: ({ reason, fromSeq, toSeq }) => void log.push(`${reason} ${fromSeq} to ${toSeq}`),
  });
  t.teardown(() => consumer.stop());
  await consumer.start();
  const wire = await broker.connection();
  t.match(wire.of("subscribe")[0]?.subscriptions, [{ topic: "ticks/#", qos: 1 }]);
  for (const seq of [1, 2, 5, 6]) wire.deliver(seq, topic, tradeJson(seq));
  wire.deliver(7, topic, tradeJson(5), true);
  await wire.until(() => wire.acknowledged.length === 4);
  t.same(log, ["record 1", "record 2", "hole 3 to 4", "record 5", "record 6", "record 5"]);
  t.same(wire.acknowledged, [1, 2, 6, 7]);
});

test("a clean consumer tells what it missed while it was away", async (t) => {
  const broker = await startScriptedBroker(t);
  const gaps: MissingTicks[] = [];
  const found = deferred();
  const consumer = subscribe({
    broker: broker.url,
    filter: "ticks/#",
    handler: () => {},
    resend: false,
    onGap: (missing) => {
      gaps.push(missing);
      found.resolve();
    },
    random: () => 0,
  });
  t.teardown(() => consumer.stop());
  await consumer.start();
  const first = await broker.connection();
  first.deliver(1, topic, tradeJson(1));
  await first.until(() => first.acknowledged.length === 1);
  first.destroy();
  const second = await broker.connection(1);
  await second.until(() => second.of("subscribe").length === 1);
  second.deliver(1, topic, tradeJson(9));
  await found.promise;
  t.match(gaps, [{ topic, epoch: "01J", reason: "hole", count: 7, fromSeq: 2, toSeq: 8 }]);
});

test("a persistent consumer keeps its session when it stops", async (t) => {
  const broker = await startScriptedBroker(t);
  const consumer = subscribe({
    broker: broker.url,
    filter: "ticks/#",
    clientId: "ledger",
    persistent: true,
    handler: () => {},
  });
  await consumer.start();
  const wire = await broker.connection();
  await consumer.stop();
  await wire.closed;
  t.match(wire.of("connect"), [{ clean: false, clientId: "ledger" }]);
  t.same(wire.of("unsubscribe"), []);
  t.equal(wire.of("disconnect").length, 1);
});

test("what a persistent session has kept is handled although it is more than maxQueued and precedes SUBACK", async (t) => {
  const seqs = Array.from({ length: 20 }, (_, index) => index + 1);
  const broker = await startScriptedBroker(t, {
    onConnected: (connection) => {
      for (const seq of seqs) connection.deliver(seq, topic, tradeJson(seq));
    },
  });
  const seen: number[] = [];
  const consumer = subscribe({
    broker: broker.url,
    filter: "ticks/#",
    clientId: "ledger",
    persistent: true,
    maxQueued: 2,
    handler: async ({ seq }) => {
      await new Promise(setImmediate);
      seen.push(seq);
    },
  });
  t.teardown(() => consumer.stop());
  await consumer.start();
  const wire = await broker.connection();
  await wire.until(() => wire.acknowledged.length === seqs.length);
  t.same([seen, wire.acknowledged], [seqs, seqs]);
});

test("joining a pool is not exclusive, and a persistent session needs a name", async (t) => {
  const options = { broker: "mqtt://127.0.0.1", handler: () => {} };
  t.throws(() => subscribe({ ...options, filter: "$share/p/ticks/#" }), { code: "EQ_TOPIC_INVALID" });
  t.throws(() => subscribe({ ...options, filter: "ticks/#", persistent: true }), {
    code: "EQ_CONFIG_BAD_VALUE",
    message: /clientId is missing/,
  });
});
