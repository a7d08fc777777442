import fc from "fast-check";
import { test } from "tap";
import { backoffMs } from "../../../shared/src/backoff.ts";
import { brokerUrlFault, withoutCredentials } from "../../../shared/src/broker-url.ts";
import { Acknowledger } from "../../../shared/src/client/acknowledger.ts";
import { HeartbeatSender } from "../../../shared/src/client/heartbeat-sender.ts";
import { Load } from "../../../shared/src/client/load.ts";
import { Repeats } from "../../../shared/src/client/repeats.ts";
import { Workers } from "../../../shared/src/client/workers.ts";
import { deferred, trade } from "./fixtures.ts";

test("acknowledger: whatever the order of the answers, they go out in the order of arrival", async (t) => {
  const settlements = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 });
  const failures = fc.array(fc.boolean(), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(settlements, failures, (order, failed) => {
      const sent: string[] = [];
      const acknowledger = new Acknowledger(
        {
          acknowledge: (packetIds) => sent.push(...packetIds.map((packetId) => `ack ${packetId}`)),
          reject: (packetId, reason) => sent.push(`${reason} ${packetId}`),
        },
        (flush) => flush(),
      );
      const owed = failed.map((_, index) => acknowledger.expect(100 + index));
      for (const [done, index] of order.entries()) {
        if (failed[index]) owed[index]?.reject("no");
        else owed[index]?.acknowledge();
        const answered = new Set(order.slice(0, done + 1));
        const due = failed.findIndex((_, place) => !answered.has(place));
        const expected = failed.map((fail, place) => `${fail ? "no" : "ack"} ${100 + place}`);
        t.same(sent, due === -1 ? expected : expected.slice(0, due));
      }
    }),
    { numRuns: 50 },
  );
});

test("acknowledger: what is answered in one turn of the event loop is sent together, QoS 0 not at all", async (t) => {
  const sent: (readonly number[])[] = [];
  const acknowledger = new Acknowledger({
    acknowledge: (packetIds) => sent.push(packetIds),
    reject: () => {},
  });
  const owed = [1, undefined, 2, 3].map((packetId) => acknowledger.expect(packetId));
  for (const answer of owed) answer.acknowledge();
  t.same(sent, []);
  await new Promise(setImmediate);
  t.same(sent, [[1, 2, 3]]);
});

test("acknowledger: a second answer to the same delivery is a bug that is told", async (t) => {
  const owed = new Acknowledger({ acknowledge: () => {}, reject: () => {} }).expect(5);
  owed.acknowledge();
  t.throws(() => owed.reject("late"), /delivery 5 was answered twice/);
});

test("workers: begin in order, keep to the bound, forget on request, and tell when idle", async (t) => {
  const begun: number[] = [];
  const works = new Map([1, 2, 3, 4].map((item) => [item, deferred()]));
  const workers = new Workers<number>(2, async (item) => {
    begun.push(item);
    await works.get(item)?.promise;
  });
  for (const item of works.keys()) workers.add(item);
  t.same([begun, workers.waiting], [[], 4], "nothing begins before it is opened");
  workers.open();
  t.same([begun, workers.running, workers.waiting], [[1, 2], 2, 2]);
  works.get(2)?.resolve();
  await new Promise(setImmediate);
  t.same(begun, [1, 2, 3]);
  workers.discardWaiting();
  let idle = false;
  const whenIdle = workers.idle().then(() => {
    idle = true;
  });
  works.get(1)?.resolve();
  await new Promise(setImmediate);
  t.notOk(idle, "3 still runs");
  works.get(3)?.resolve();
  await whenIdle;
  t.same([begun, workers.running, workers.waiting], [[1, 2, 3], 0, 0]);
});

test("repeats: the last maxRemembered records are known, the memory stays bounded, failures are not remembered", async (t) => {
  const repeats = new Repeats(3);
  const once = (seq: number, topic = "a") => repeats.once(topic, trade(seq), async () => {});
  for (const seq of [1, 2, 3, 4, 5, 6, 7]) t.equal(await once(seq), "handled");
  for (const seq of [7, 6, 5, 4]) t.equal(await once(seq), "repeat", `${seq} is remembered`);
  t.equal(await once(1), "handled", "1 was forgotten");
  t.equal(await once(7, "b"), "handled", "another stream");
  await t.rejects(
    repeats.once("c", trade(1), () => Promise.reject(new Error("no"))),
    /no/,
  );
  t.equal(await once(1, "c"), "handled");
});

test("repeats: a repeat of a record at work waits and shares its outcome", async (t) => {
  for (const fails of [false, true]) {
    const repeats = new Repeats(10);
    const work = deferred();
    const first = repeats.once("a", trade(1), () => work.promise);
    const second = repeats.once("a", trade(1), async () => void t.fail("handled twice at once"));
    if (fails) work.reject(new Error("no"));
    else work.resolve();
    const outcomes = await Promise.allSettled([first, second]);
    t.same(
      outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : outcome.status)),
      fails ? ["rejected", "rejected"] : ["handled", "repeat"],
    );
  }
});

test("pauses between attempts grow to their bound and are spread over it", async (t) => {
  t.same(
    [0, 1, 2, 10, 1_000].map((round) => backoffMs(round, 10_000, () => 1)),
    [250, 500, 1_000, 10_000, 10_000],
  );
  t.equal(
    backoffMs(3, 10_000, () => 0),
    0,
  );
});

test("heartbeats: every 250 ms with a fifth of jitter under load, every 5 s idle, at once when told", async (t) => {
  let nowMs = 0;
  let next: { atMs: number; callback: () => void } | undefined;
  const clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after(delayMs: number, callback: () => void) {
      next = { atMs: nowMs + delayMs, callback };
      return () => {
        next = undefined;
      };
    },
    every: () => () => {},
  };
  const sentMs: number[] = [];
  let busy = true;
  let random = 0;
  const sender = new HeartbeatSender({
    clock,
    random: () => random,
    busy: () => busy,
    send: () => sentMs.push(Math.round(nowMs)),
  });
  const runUntil = (untilMs: number): void => {
    while (next !== undefined && next.atMs <= untilMs) {
      nowMs = next.atMs;
      next.callback();
    }
    nowMs = untilMs;
  };
  sender.start();
  runUntil(600);
  t.same(sentMs.splice(0), [200, 400, 600]);
  random = 1;
  runUntil(1_000);
  t.same(sentMs.splice(0), [800], "this wait had begun before");
  runUntil(1_100);
  t.same(sentMs.splice(0), [1_100]);
  busy = false;
  random = 0.5;
  runUntil(12_000);
  t.same(sentMs.splice(0), [6_150, 11_150]);
  sender.sendNow();
  t.same(sentMs.splice(0), [12_000]);
  sender.stop();
  runUntil(60_000);
  t.same(sentMs, []);
});

test("load: the service time is smoothed, errors are counted per report, cpu is a share of one core", async (t) => {
  const load = new Load();
  load.start();
  t.match(load.report(), { serviceTimeMs: undefined, errors: 0 });
  load.finished(10);
  load.finished(20);
  load.failed();
  const report = load.report();
  t.match(report, { serviceTimeMs: 11, errors: 1 });
  t.ok(report.cpu !== undefined && report.cpu >= 0 && report.cpu <= 1);
  t.equal(load.report().errors, 0);
  load.stop();
});

test("a broker's address: four schemes with a host; credentials are never shown", async (t) => {
  for (const good of ["mqtt://h", "mqtts://h:1", "ws://h/path", "wss://[::1]:2", "mqtt://u:p@h"]) {
    t.equal(brokerUrlFault(good), undefined, good);
  }
  for (const bad of ["h", "h:1883", "http://h", "mqtt://", "mqtt:h", "", "1.2.3.4:5"]) {
    t.match(brokerUrlFault(bad), /must be a URL such as mqtt:/, bad);
  }
  t.equal(withoutCredentials("mqtt://user:secret@h:1883"), "mqtt://h:1883");
});
