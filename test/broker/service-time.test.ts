import fc from "fast-check";
import { test } from "tap";
import { ServiceTime } from "../../broker/src/strategy/index.ts";
import { seededRandom } from "../support/random.ts";

/** A member that is always busy and takes `demandMs` for each message. */
class Busy {
  readonly service = new ServiceTime();
  nowMs = 0;

  work(demandMs: number): void {
    this.nowMs += demandMs;
    // The first message had nothing before it; from then on ten are queued.
    this.service.acknowledged(this.service.estimateMs === undefined ? demandMs : demandMs * 10, this.nowMs);
  }

  repeat(count: number, demandMs: () => number): this {
    for (let done = 0; done < count; done++) this.work(demandMs());
    return this;
  }

  get estimateMs(): number {
    return this.service.estimateMs as number;
  }
}

const near = (value: number, expected: number, share: number): boolean =>
  Math.abs(value - expected) <= share * expected;

test("nothing is known before the first answer, which counts by itself", (t) => {
  const service = new ServiceTime();
  t.equal(service.estimateMs, undefined);
  t.equal(service.expectedMs(1_000, 0), undefined);
  service.acknowledged(7, 7);
  t.equal(service.estimateMs, 7);
  t.end();
});

test("a busy member's service time is the gap between its answers, an idle one's its latency", (t) => {
  const busy = new Busy().repeat(100, () => 3);
  t.ok(near(busy.estimateMs, 3, 0.1), `${busy.estimateMs} ms, although each message took 30 ms`);
  const idle = new ServiceTime();
  for (let at = 1; at <= 100; at++) idle.acknowledged(3, at * 1_000);
  t.ok(near(idle.estimateMs as number, 3, 0.01));
  t.end();
});

test("answers of one instant share their time, whether or not anybody asks in between", (t) => {
  for (const asked of [false, true]) {
    const service = new ServiceTime();
    for (let nowMs = 8; nowMs <= 8_000; nowMs += 8) {
      for (let answer = 0; answer < 4; answer++) {
        service.acknowledged(8 + answer, nowMs);
        if (asked) service.estimateMs;
      }
    }
    const estimateMs = service.estimateMs as number;
    t.ok(near(estimateMs, 2, 0.05), `${estimateMs} ms, four answers every 8 ms, asked ${asked}`);
  }
  t.end();
});

test("the estimate is steady: for a member whose messages differ it stays within a half of the mean", (t) => {
  const random = seededRandom(11);
  const busy = new Busy().repeat(200, () => -4 * Math.log(1 - random()));
  let outside = 0;
  for (let round = 0; round < 5_000; round++) {
    busy.work(-4 * Math.log(1 - random()));
    if (!near(busy.estimateMs, 4, 1 / 2)) outside++;
  }
  t.ok(outside < 250, `outside ${outside} of 5,000 times`);
  t.end();
});

for (const [fromMs, toMs, within] of [
  [2, 20, 3],
  [2, 6, 6],
  [20, 2, 5],
  [6, 2, 11],
] as const) {
  test(`a member that goes from ${fromMs} to ${toMs} ms is seen after ${within} answers`, (t) => {
    const busy = new Busy().repeat(500, () => fromMs);
    const once = new Busy().repeat(500, () => fromMs).repeat(1, () => toMs);
    t.ok(near(once.estimateMs, fromMs, 0.2), `a single message is no change: ${once.estimateMs}`);
    busy.repeat(within, () => toMs);
    t.ok(near(busy.estimateMs, toMs, 0.15), `${busy.estimateMs} ms`);
    t.end();
  });
}

test("a member that makes no progress is expected to need as long as it is silent, before any answer", (t) => {
  const { service, nowMs } = new Busy().repeat(100, () => 2);
  const expected = (afterMs: number, sentAtMs: number | undefined) =>
    service.expectedMs(nowMs + afterMs, sentAtMs);
  t.equal(expected(6, nowMs), 2, "three services of silence are chance");
  t.equal(expected(106, nowMs), 100);
  t.equal(expected(1_000, undefined), 2, "who holds nothing is not silent");
  t.equal(expected(1_000, nowMs + 999), 2, "nor is who was given a message just now");
  t.end();
});

test("failures never improve an estimate, however quick they are", (t) => {
  const event = fc.record({
    fails: fc.boolean(),
    passedMs: fc.double({ min: 0, max: 100, noNaN: true }),
    latencyMs: fc.double({ min: 0, max: 100, noNaN: true }),
  });
  const property = fc.property(fc.array(event, { maxLength: 200 }), (events) => {
    const service = new ServiceTime();
    let nowMs = 0;
    for (const { fails, passedMs, latencyMs } of events) {
      nowMs += passedMs;
      const before = service.estimateMs;
      if (fails) service.failed(latencyMs, nowMs);
      else service.acknowledged(latencyMs, nowMs);
      const after = service.estimateMs;
      if (after !== undefined && !(Number.isFinite(after) && after >= 0)) return false;
      if (fails && before === undefined && after !== undefined) return false;
      if (fails && before !== undefined && (after as number) < before) return false;
    }
    return true;
  });
  fc.assert(property, { numRuns: 1_000 });
  t.pass("1,000 histories");
  t.end();
});

test("an expectation is never less than the estimate", (t) => {
  const property = fc.property(
    fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 1, maxLength: 50 }),
    fc.double({ min: 0, max: 1e6, noNaN: true }),
    (demands, laterMs) => {
      const busy = new Busy();
      for (const demandMs of demands) busy.work(demandMs);
      const expectedMs = busy.service.expectedMs(busy.nowMs + laterMs, busy.nowMs) as number;
      // A sum of times and their difference are not the same to the last bit.
      const mostMs = Math.max(busy.estimateMs, laterMs) + 1e-6;
      return expectedMs >= busy.estimateMs && expectedMs <= mostMs;
    },
  );
  fc.assert(property);
  t.pass();
  t.end();
});
