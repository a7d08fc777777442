/** How a member of a pool starts, and what keeps it from that. */
import { type ConsumerEvent, joinPool, type PoolOptions } from "@equipoise/shared/client";
import { test } from "tap";
import { startScriptedBroker } from "../../support/scripted-broker.ts";
import { deferred } from "./fixtures.ts";

test("several brokers are tried in turn until one accepts", async (t) => {
  const { broker: away } = { broker: await startScriptedBroker(t) };
  await away.stop();
  const here = await startScriptedBroker(t);
  const events: ConsumerEvent[] = [];
  const consumer = joinPool({
    broker: [away.url, here.url],
    pool: "p",
    filter: "ticks/#",
    handler: () => {},
    onEvent: (event) => events.push(event),
  });
  t.teardown(() => consumer.stop());
  await consumer.start();
  t.match(events, [
    { event: "unreachable", broker: away.url, reason: /ECONNREFUSED/ },
    { event: "joined", broker: here.url },
  ]);
});

test("bad credentials and a refused subscription end the start with their code", async (t) => {
  for (const [script, code] of [
    [{ connectCode: 4 }, "EQ_BROKER_REFUSED"],
    [{ subscribeCode: 128 }, "EQ_SUBSCRIBE_REFUSED"],
  ] as const) {
    const broker = await startScriptedBroker(t, script);
    const consumer = joinPool({ broker: broker.url, pool: "p", filter: "f", handler: () => {} });
    await t.rejects(consumer.start(), { code });
    await consumer.stop();
  }
});

test("a stop while the broker is away ends the start quietly", async (t) => {
  const broker = await startScriptedBroker(t);
  await broker.stop();
  const tried = deferred();
  const consumer = joinPool({
    broker: broker.url,
    pool: "p",
    filter: "f",
    handler: () => {},
    onEvent: tried.resolve,
  });
  const started = consumer.start();
  await tried.promise;
  await consumer.stop();
  await started;
  t.match(consumer.stats, { connected: false });
});

test("wrong options are refused before anything happens", async (t) => {
  const right = { broker: "mqtt://127.0.0.1", pool: "p", filter: "f", handler: () => {} };
  const wrong: [Partial<PoolOptions>, string, RegExp][] = [
    [{ pool: "a/b" }, "EQ_TOPIC_INVALID", /a\/b/],
    [{ pool: "" }, "EQ_TOPIC_INVALID", /pool/],
    [{ filter: "a/#/b" }, "EQ_TOPIC_INVALID", /# not alone/],
    [{ concurrency: 0 }, "EQ_CONFIG_BAD_VALUE", /concurrency is 0/],
    [{ maxQueued: 1.5 }, "EQ_CONFIG_BAD_VALUE", /maxQueued is 1.5/],
    [{ broker: [] }, "EQ_CONFIG_BAD_VALUE", /broker is empty/],
    [{ broker: "localhost:1883" }, "EQ_CONFIG_BAD_VALUE", /mqtt:\/\//],
    [{ clientId: "" }, "EQ_TOPIC_INVALID", /identifier/],
  ];
  for (const [change, code, message] of wrong) {
    t.throws(() => joinPool({ ...right, ...change }), { code, message }, JSON.stringify(change));
  }
});
