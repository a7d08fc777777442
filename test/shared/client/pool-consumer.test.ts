import { type ConsumerEvent, joinPool, type PoolOptions } from "@equipoise/shared/client";
import { type Test, test } from "tap";
import {
  type Script,
  type ScriptedBroker,
  type ScriptedConnection,
  startScriptedBroker,
} from "../../support/scripted-broker.ts";
import { shortest } from "../../support/time.ts";
import { deferred, topic, trade, tradeJson } from "./fixtures.ts";

const heartbeatTopic = "heartbeat/members/m1";
const rejectTopic = "members/m1/reject";

async function joined(t: Test, options: Partial<PoolOptions>, script: Script = {}) {
  return await joinedAt(t, await startScriptedBroker(t, script), options);
}

async function joinedAt(t: Test, broker: ScriptedBroker, options: Partial<PoolOptions>) {
  const events: ConsumerEvent[] = [];
  const consumer = joinPool({
    broker: broker.url,
    pool: "p",
    filter: "ticks/#",
    clientId: "m1",
    handler: () => {},
    onEvent: (event) => events.push(event),
    drainTimeoutMs: 100,
    ...options,
  });
  t.teardown(() => consumer.stop());
  await consumer.start();
  return { broker, consumer, events, wire: await broker.connection() };
}

const heartbeats = (wire: ScriptedConnection) =>
  wire.publishedTo(heartbeatTopic).map(({ payload }) => JSON.parse(payload.toString()));

test("joins the pool at QoS 1 with a clean MQTT 3.1.1 session", async (t) => {
  const { wire } = await joined(t, {});
  const [connect] = wire.of("connect");
  t.match(connect, { clientId: "m1", clean: true, protocolVersion: 4 });
  t.match(wire.of("subscribe")[0]?.subscriptions, [{ topic: "$share/p/ticks/#", qos: 1 }]);
});

test("nothing is acknowledged before its handler has resolved", async (t) => {
  const work = deferred();
  const { wire } = await joined(t, { handler: () => work.promise, keepaliveS: 1 });
  wire.deliver(1, topic, tradeJson(1));
  // A whole ping goes to and fro on the same connection meanwhile: an early PUBACK would have come before it.
  await wire.until(() => wire.of("pingreq").length >= 1);
  t.same(wire.acknowledged, []);
  work.resolve();
  await wire.until(() => wire.acknowledged.length === 1);
  t.same(wire.acknowledged, [1]);
});

test("a handler of several keepalive periods neither loses the connection nor stops the pings", async (t) => {
  const work = deferred();
  const { wire, consumer, events } = await joined(t, { keepaliveS: 1, handler: () => work.promise });
  wire.deliver(1, topic, tradeJson(1));
  await wire.until(() => wire.of("pingreq").length >= 4);
  work.resolve();
  await wire.until(() => wire.acknowledged.length === 1);
  t.ok(consumer.stats.connected);
  t.same(
    events.map(({ event }) => event),
    ["joined"],
  );
});

test("from a broker that falls silent a member is at another within 1.5 times its keepalive, attempt included", async (t) => {
  const keepaliveS = 3;
  const movedMs = await shortest(1_500 * keepaliveS, async () => {
    const other = await startScriptedBroker(t);
    const silent = await startScriptedBroker(t, { pings: false });
    const broker = [silent.url, other.url];
    const beganMs = performance.now();
    const { consumer } = await joinedAt(t, silent, { broker, keepaliveS, random: () => 0.99 });
    const joinedMs = performance.now();
    const second = await other.connection();
    await second.until(() => second.of("subscribe").length > 0);
    const leftMs = performance.now();
    await consumer.stop();
    t.ok(leftMs - beganMs > 1_200 * keepaliveS, "not before its time");
    return Math.round(leftMs - joinedMs);
  });
  t.ok(movedMs < 1_500 * keepaliveS, `after ${movedMs} ms`);
});

test("PUBACKs go out in the order of arrival although handlers finish in reverse [MQTT-4.6.0-2]", async (t) => {
  const works = Array.from({ length: 8 }, deferred);
  const { wire, consumer } = await joined(t, {
    concurrency: 8,
    handler: ({ seq }) => works[seq - 1]?.promise,
  });
  const packetIds = [40, 7, 99, 3, 65_535, 1, 2, 500];
  for (const [index, packetId] of packetIds.entries()) wire.deliver(packetId, topic, tradeJson(index + 1));
  await wire.until(() => heartbeats(wire).some(({ queueDepth }) => queueDepth === 8));
  t.equal(consumer.stats.running, 8);
  for (const work of works.toReversed()) work.resolve();
  await wire.until(() => wire.acknowledged.length === 8);
  t.same(wire.acknowledged, packetIds);
});

test("no more handlers run at once than `concurrency` allows", async (t) => {
  let running = 0;
  let most = 0;
  const { wire } = await joined(t, {
    concurrency: 3,
    handler: async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
    },
  });
  for (let seq = 1; seq <= 20; seq += 1) wire.deliver(seq, topic, tradeJson(seq));
  await wire.until(() => wire.acknowledged.length === 20);
  t.equal(most, 3);
});

test("a failed message is rejected in its place among the PUBACKs and never acknowledged", async (t) => {
  const first = deferred();
  const { wire, consumer, events } = await joined(t, {
    concurrency: 4,
    handler: async ({ seq }) => {
      if (seq === 1) await first.promise;
      if (seq === 2) throw new Error("no such\n  account");
    },
  });
  for (const seq of [1, 2, 3]) wire.deliver(10 + seq, topic, tradeJson(seq));
  await wire.until(() => heartbeats(wire).some(({ errors }) => errors === 1));
  t.same(wire.acknowledged, [], "packet 11 holds everything back");
  first.resolve();
  await wire.until(() => wire.acknowledged.length === 2);
  const order = wire.received.flatMap<unknown>((packet) => {
    if (packet.cmd === "puback") return [packet.messageId];
    return packet.cmd === "publish" && packet.topic === rejectTopic ? [`reject at QoS ${packet.qos}`] : [];
  });
  t.same(order, [11, "reject at QoS 1", 13]);
  const reason = "EQ_HANDLER_FAILED: no such account";
  t.same(JSON.parse(wire.publishedTo(rejectTopic)[0]?.payload.toString() ?? ""), { packetId: 12, reason });
  t.match(events.at(-1), { event: "rejected", packetId: 12, topic, reason });
  t.match(consumer.stats, { received: 3, handled: 2, rejected: 1 });
});

test("a packet id that the broker uses again after a reject is answered anew", async (t) => {
  let attempts = 0;
  const { wire } = await joined(t, {
    handler: () => {
      attempts += 1;
      if (attempts === 1) throw new Error("not yet");
    },
  });
  wire.deliver(17, topic, tradeJson(1));
  await wire.until(() => wire.publishedTo(rejectTopic).length === 1);
  wire.deliver(17, topic, tradeJson(1), true);
  await wire.until(() => wire.acknowledged.length === 1);
  t.same(wire.acknowledged, [17]);
  t.equal(wire.publishedTo(rejectTopic).length, 1);
});

test("what is no record is rejected with the reason and never reaches the handler", async (t) => {
  const seen: number[] = [];
  const { wire } = await joined(t, { handler: ({ seq }) => void seen.push(seq) });
  wire.deliver(1, topic, "{broken");
  wire.deliver(2, topic, tradeJson(2, { price: "1e5" }));
  wire.deliver(3, topic, tradeJson(3));
  await wire.until(() => wire.acknowledged.length === 1);
  t.same(wire.acknowledged, [3]);
  t.same(seen, [3]);
  const reasons = wire.publishedTo(rejectTopic).map(({ payload }) => JSON.parse(payload.toString()).reason);
  t.same(reasons, [
    "EQ_RECORD_INVALID: the payload is not JSON",
    'EQ_RECORD_INVALID: "price" must be a decimal string, not "1e5"',
  ]);
});

test("a repeat is acknowledged without the handler; of a half-failed batch only the rest is handled again", async (t) => {
  const seen: number[] = [];
  const { wire, consumer } = await joined(t, {
    handler: ({ seq }) => {
      seen.push(seq);
      if (seq === 3 && !seen.includes(9)) throw new Error("first time");
    },
  });
  wire.deliver(1, topic, `[${[1, 2, 3].map((seq) => tradeJson(seq))}]`);
  wire.deliver(2, topic, tradeJson(9));
  wire.deliver(3, topic, `[${[1, 2, 3].map((seq) => tradeJson(seq))}]`, true);
  wire.deliver(4, topic, tradeJson(9), true);
  wire.deliver(5, topic, tradeJson(9, { epoch: "01K" }));
  wire.deliver(6, "ticks/binance/BTCUSDT/pi-8", tradeJson(9));
  await wire.until(() => wire.acknowledged.length === 5);
  t.same(wire.acknowledged, [2, 3, 4, 5, 6]);
  t.same(seen, [1, 2, 3, 9, 3, 9, 9]);
  t.match(consumer.stats, { handled: 6, repeats: 3, rejected: 1 });
});

test("the handler is told the topic and whether the delivery is a repeated one", async (t) => {
  const contexts: unknown[] = [];
  const { wire } = await joined(t, { handler: (record, context) => void contexts.push([record, context]) });
  wire.deliver(1, topic, tradeJson(1), true);
  await wire.until(() => wire.acknowledged.length === 1);
  t.same(contexts, [[trade(1), { topic, redelivered: true }]]);
});

test("when maxQueued messages wait, reading stops, pings go on, and reading resumes with room", async (t) => {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { wire, consumer, events } = await joined(t, {
    keepaliveS: 1,
    maxQueued: 4,
    handler: () => gate,
  });
  for (let seq = 1; seq <= 200; seq += 1) wire.deliver(seq, topic, tradeJson(seq));
  // Three keepalive periods: without pings of its own mqtt.js would have given up after one and a half.
  await wire.until(() => wire.of("pingreq").length >= 9);
  t.match(consumer.stats, { connected: true, received: 5, queued: 4, running: 1 });
  t.same(events.slice(1), [{ event: "queueFull", queued: 4 }], "told once");
  release();
  await wire.until(() => wire.acknowledged.length === 200);
  t.same(
    wire.acknowledged,
    Array.from({ length: 200 }, (_, index) => index + 1),
  );
});

test("draining: says so at once, takes nothing new, finishes, acknowledges, unsubscribes, disconnects", async (t) => {
  const work = deferred();
  const seen: number[] = [];
  const { wire, consumer, events } = await joined(t, {
    drainTimeoutMs: 10_000,
    handler: async ({ seq }) => {
      seen.push(seq);
      await work.promise;
    },
  });
  wire.deliver(1, topic, tradeJson(1));
  wire.deliver(2, topic, tradeJson(2));
  await wire.until(() => heartbeats(wire).some(({ queueDepth }) => queueDepth === 2));
  const stopped = consumer.stop();
  await wire.until(() => heartbeats(wire).some(({ state }) => state === "draining"));
  wire.deliver(3, topic, tradeJson(3));
  // It is read before the UNSUBACK that the drain waits for.
  work.resolve();
  await stopped;
  await wire.closed;
  t.same(seen, [1, 2]);
  t.same(wire.acknowledged, [1, 2]);
  const order = wire.received.map(({ cmd }) => cmd).filter((cmd) => cmd !== "pingreq");
  t.same(order.slice(-4), ["puback", "puback", "unsubscribe", "disconnect"]);
  t.match(events.at(-1), { event: "draining", held: 2 });
});

test("a drain ends after drainTimeoutMs and leaves the unfinished unacknowledged", async (t) => {
  const { wire, consumer, events } = await joined(t, {
    drainTimeoutMs: 50,
    handler: () => new Promise(() => {}),
  });
  wire.deliver(1, topic, tradeJson(1));
  await wire.until(() => heartbeats(wire).some(({ queueDepth }) => queueDepth === 1));
  await consumer.stop();
  await wire.closed;
  t.same(wire.acknowledged, []);
  t.match(events.at(-1), { event: "drainTimedOut", unfinished: 1 });
});

test("stop('running') leaves what only waits to the broker, even when called by a handler", async (t) => {
  const seen: number[] = [];
  const { wire, consumer } = await joined(t, {
    concurrency: 2,
    handler: ({ seq }) => {
      seen.push(seq);
      if (seq === 3) void consumer.stop("running");
    },
  });
  wire.send(
    ...[1, 2, 3, 4, 5].map((seq) => ({
      cmd: "publish" as const,
      topic,
      payload: tradeJson(seq),
      qos: 1 as const,
      dup: false,
      retain: false,
      messageId: seq,
    })),
  );
  await wire.closed;
  t.same(seen, [1, 2, 3]);
  t.same(wire.acknowledged, [1, 2, 3]);
});

test("after a reconnect no old packet id is acknowledged, and a repeat joins the handler still at work", async (t) => {
  const work = deferred();
  const seen: number[] = [];
  const { broker, wire, consumer, events } = await joined(t, {
    concurrency: 2,
    random: () => 0,
    handler: async ({ seq }) => {
      seen.push(seq);
      if (seq === 1) await work.promise;
    },
  });
  wire.deliver(5, topic, tradeJson(1));
  await wire.until(() => heartbeats(wire).some(({ queueDepth }) => queueDepth === 1));
  wire.destroy();
  const second = await broker.connection(1);
  await second.until(() => second.of("subscribe").length === 1);
  second.deliver(8, topic, tradeJson(1), true);
  second.deliver(9, topic, tradeJson(2));
  await second.until(() => heartbeats(second).some(({ queueDepth }) => queueDepth >= 1));
  work.resolve();
  await second.until(() => second.acknowledged.length === 2);
  t.same(second.acknowledged, [8, 9]);
  t.same(seen, [1, 2]);
  t.match(consumer.stats, { handled: 2, repeats: 1 });
  t.same(
    events.map(({ event }) => event),
    ["joined", "disconnected", "joined"],
  );
});

test("a reject that the lost connection never confirmed is not sent on the next one", async (t) => {
  const { broker, wire } = await joined(t, {
    random: () => 0,
    handler: () => {
      throw new Error("no");
    },
  });
  wire.deliver(17, topic, tradeJson(1));
  await wire.until(() => {
    if (wire.publishedTo(rejectTopic).length === 0) return false;
    wire.destroy();
    return true;
  });
  const second = await broker.connection(1);
  await second.until(() => heartbeats(second).length >= 1);
  t.same(second.publishedTo(rejectTopic), []);
});
