import fc from "fast-check";
import { test } from "tap";
import { Pace } from "../../agent/src/uplink/pace.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { until } from "./support.ts";
import { startUplink, Ticks } from "./uplink-support.ts";

/** Answers `count` messages that were all sent with a full window. */
function answer(pace: Pace, count: number, latencyMs: (limit: number) => number, from = { nowMs: 0 }): void {
  for (let n = 0; n < count; n++) {
    const ms = latencyMs(pace.limit);
    from.nowMs += ms / pace.limit;
    pace.acknowledged(ms, pace.limit, from.nowMs);
  }
}

test("the window grows to its maximum while acknowledgements come as fast as they ever do", async (t) => {
  const pace = new Pace(256);
  t.equal(pace.limit, 32);
  answer(pace, 2_000, () => 100);
  t.equal(pace.limit, 256);
});

test("a window that is not used does not grow", async (t) => {
  const pace = new Pace(256);
  for (let n = 0; n < 2_000; n++) pace.acknowledged(1, 3, n);
  t.equal(pace.limit, 32);
});

test("the window shrinks when acknowledgements come late, and grows again when they do not", async (t) => {
  const pace = new Pace(256);
  answer(pace, 2_000, () => 2);
  answer(pace, 600, () => 500);
  t.ok(pace.limit <= 8, `${pace.limit}`);
  answer(pace, 3_000, () => 2);
  t.equal(pace.limit, 256);
});

test("a broker of a fixed rate gets a window that keeps it busy, not one that queues", async (t) => {
  const pace = new Pace(10_000);
  // One message a millisecond, 5 ms of way: what is more than 5 in flight waits.
  answer(pace, 300_000, (limit) => Math.max(5, limit));
  t.ok(pace.limit >= 5 && pace.limit <= 40, `${pace.limit}`);
});

test("a way that has become longer is learnt within a minute", async (t) => {
  const pace = new Pace(256);
  const time = { nowMs: 0 };
  answer(pace, 2_000, () => 1, time);
  answer(pace, 520, () => 150, time);
  t.ok(pace.limit < 10, "at first it looks like a queue");
  const learning = time.nowMs;
  while (pace.limit < 256) answer(pace, 1, () => 150, time);
  t.ok(time.nowMs - learning < 60_000, `${time.nowMs - learning}`);
  t.equal(pace.limit, 256);
});

test("the window stays within its bounds, whatever the latencies are", async (t) => {
  const acks = fc.array(fc.tuple(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.nat(20_000)));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), acks, (max, answers) => {
      const pace = new Pace(max);
      return answers.every(([latencyMs, inFlight], index) => {
        pace.acknowledged(latencyMs, inFlight, index * 100);
        return pace.limit >= Math.min(4, max) && pace.limit <= max;
      });
    }),
  );
  t.pass("by property");
});

test("an uplink to a broker that answers late has few messages in flight", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.acknowledges = false;
  let nowMs = 0;
  const clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => () => {},
    every: () => () => {},
  };
  const queue = new Ticks(100_000);
  const { uplink } = startUplink(t, [broker.url], queue, { clock, window: 256, random: () => 0 });
  let answered = 0;
  const round = async (latencyMs: number): Promise<number> => {
    const inFlight = uplink.stats().inFlight;
    await until(() => broker.ticks.length === answered + inFlight);
    nowMs += latencyMs;
    const due = broker.ticks.slice(answered);
    for (const packet of due) broker.connections[0]?.acknowledge(packet);
    answered += due.length;
    await until(() => uplink.stats().acknowledged === answered && uplink.stats().inFlight > 0);
    return uplink.stats().inFlight;
  };
  await until(() => uplink.stats().inFlight > 0);
  let inFlight = 0;
  for (let n = 0; n < 8; n++) inFlight = await round(2);
  t.equal(inFlight, 256);
  for (let n = 0; n < 8; n++) inFlight = await round(2_000);
  t.ok(inFlight <= 8, `${inFlight}`);
});
