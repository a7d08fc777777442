import { test } from "tap";
import { Credits } from "../../broker/src/pool/credits.ts";

/** A member that works on one message at a time, each `serviceMs`, always kept at its limit; its credit over the second half of a long time. */
function settledLimit(
  serviceMs: number,
  options: { pathMs?: number; stall?: (count: number) => number } = {},
): number[] {
  const { pathMs = 0.2, stall = () => 0 } = options;
  const credits = new Credits();
  const sent: number[] = [];
  const limits: number[] = [];
  let now = 0;
  for (let count = 0; count < 60_000; count++) {
    while (sent.length < credits.limit) sent.push(now);
    now = Math.max(now, (sent[0] as number) + pathMs) + serviceMs;
    const sentMs = sent.shift() as number;
    credits.acknowledged(now + stall(count) - sentMs, sent.length + 1, now);
    limits.push(credits.limit);
  }
  return limits.slice(limits.length / 2);
}

test("a member gets a few milliseconds of its own work, never less than two messages, and never drifts away", async (t) => {
  for (const [serviceMs, usual, most] of [
    [0.05, 60, 140],
    [1, 4, 9],
    [3, 2, 5],
    [10, 2, 3],
    [100, 2, 3],
  ] as const) {
    const limits = settledLimit(serviceMs);
    const median = limits.toSorted((a, b) => a - b)[limits.length >> 1] ?? 0;
    t.ok(
      median >= usual && Math.max(...limits) <= most,
      `${serviceMs} ms: ${median}, at most ${Math.max(...limits)}`,
    );
    t.ok(Math.min(...limits) >= 2);
  }
});

test("a distant member gets its round trip on top", async (t) => {
  const [limit = 0] = settledLimit(1, { pathMs: 50 });
  t.ok(limit > 40 && limit < 120, `${limit} messages over 50 ms`);
});

test("a settled limit does not swing: it changes for a measurement and back, hardly more", async (t) => {
  for (const serviceMs of [1, 2, 3, 5]) {
    const limits = settledLimit(serviceMs);
    const changes = limits.filter((limit, at) => at > 0 && limit !== limits[at - 1]).length;
    const measurements = (limits.length * serviceMs) / 15_000;
    t.ok(
      changes <= 4 * measurements + 4,
      `${serviceMs} ms: ${changes} changes, ${measurements} measurements`,
    );
  }
});

test("answers that come 40 ms late now and then do not take a member's credit", async (t) => {
  for (const serviceMs of [1, 2, 3, 5]) {
    const median = (limits: number[]): number => limits.toSorted((a, b) => a - b)[limits.length >> 1] ?? 0;
    const stalled = median(settledLimit(serviceMs, { stall: (count) => (count % 20 === 0 ? 40 : 0) }));
    t.ok(stalled >= median(settledLimit(serviceMs)) - 1, `${serviceMs} ms: ${stalled}`);
  }
});

test("a member never gets more than it declares", async (t) => {
  const credits = new Credits();
  credits.declare(3);
  t.equal(credits.limit, 3);
  for (let count = 0; count < 1_000; count++) credits.acknowledged(0.1, 3, count);
  t.equal(credits.limit, 3);
  credits.declare(undefined);
  t.ok(credits.limit >= 3);
});
