import type { MemberHeartbeat } from "@equipoise/shared";
import fc from "fast-check";
import { test } from "tap";
import { ReportedLoad, type SeenLoad } from "../../broker/src/pool/reported-load.ts";

/** Members in virtual time: what one of them is given, has, and says every 250 ms. */
class Reporter {
  readonly reported = new ReportedLoad();
  nowMs = 0;
  queue = 0;
  readonly seen: SeenLoad = { inFlight: 0, taken: 0, ackLatencyMs: 0.2 };
  readonly serviceMs: number;

  constructor(serviceMs: number) {
    this.serviceMs = serviceMs;
  }

  /** 250 ms in which it is given so many messages, then a report: the truth, unless something else is said. */
  beat(given: number, said: Partial<MemberHeartbeat> = {}): void {
    this.nowMs += 250;
    this.seen.taken += given;
    this.queue = Math.max(0, this.queue + given - 250 / this.serviceMs);
    const truth = { queueDepth: this.queue, serviceTimeMs: this.serviceMs };
    this.reported.heard({ state: "up", ...truth, ...said }, { ...this.seen }, this.nowMs);
  }

  extraWork(afterMs = 0): number {
    return this.reported.extraWork(this.seen, 0.2, this.nowMs + afterMs);
  }

  serviceTimeMs(afterMs = 0): number | undefined {
    return this.reported.serviceMs(this.nowMs + afterMs);
  }
}

test("a member that acknowledges before it works is recognised within three reports of its queue", (t) => {
  const member = new Reporter(5);
  for (let beats = 1; beats <= 3; beats++) member.beat(80);
  t.equal(member.reported.acknowledgesEarly, true);
  t.equal(member.serviceTimeMs(), 5);
  t.equal(
    Math.round(member.extraWork()),
    90,
    "what it had, and what it was given, less what it has finished",
  );
  t.end();
});

test("the work of one that acknowledges early is counted on from report to report", (t) => {
  const member = new Reporter(5);
  for (let beats = 1; beats <= 4; beats++) member.beat(80);
  const before = member.extraWork();
  t.equal(member.extraWork(100), before - 20, "in 100 ms it finishes twenty");
  member.seen.taken += 7;
  t.equal(member.extraWork(100), before - 13, "and has what it was given since");
  t.equal(member.extraWork(20_000), 0);
  t.equal(member.serviceTimeMs(29_000), 5);
  t.equal(member.serviceTimeMs(31_000), undefined, "what is older than 30 s is forgotten");
  t.end();
});

test("it is no longer taken for one when its queue is gone", (t) => {
  const member = new Reporter(5);
  for (let beats = 1; beats <= 4; beats++) member.beat(80);
  member.seen.inFlight = 2;
  for (let beats = 1; beats <= 20; beats++) member.beat(20, { queueDepth: 2 });
  t.equal(member.reported.acknowledgesEarly, false);
  t.end();
});

test("a member that acknowledges when it is done is never taken for one that does so early", (t) => {
  const member = new Reporter(5);
  for (const given of [50, 50, 50, 60, 60, 60, 50, 40, 40, 40]) {
    member.seen.ackLatencyMs = 5 * (member.queue + 1);
    member.seen.inFlight = Math.ceil(member.queue);
    member.beat(given, { queueDepth: Math.ceil(member.queue) });
    t.equal(member.reported.acknowledgesEarly, false);
    t.equal(member.extraWork(), 0);
  }
  t.end();
});

test("work from elsewhere counts while it delays the answers, and for half a second", (t) => {
  const member = new Reporter(2);
  member.seen.inFlight = 4;
  member.seen.ackLatencyMs = 50;
  member.beat(0, { queueDepth: 34 });
  const work = (afterMs: number, ackLatencyMs = 50) =>
    member.reported.extraWork({ ...member.seen, ackLatencyMs }, 2, member.nowMs + afterMs);
  t.equal(work(0), 30);
  t.equal(work(500), 30);
  t.equal(work(501), 0);
  t.equal(work(0, 5), 0, "a queue that delays nothing is not there");
  t.end();
});

test("a queue that does not shrink is a lie: dropped, and distrusted for twice as long each time", (t) => {
  const member = new Reporter(5);
  const lie = { queueDepth: 1_000, serviceTimeMs: 5 };
  const distrustedMs: number[] = [];
  for (let times = 0; times < 3; times++) {
    // At first it is plausible, and believed.
    member.queue = 200;
    for (let beats = 0; beats < 6; beats++) member.beat(50);
    t.equal(member.reported.acknowledgesEarly, true);
    const beginMs = member.nowMs;
    while (member.reported.acknowledgesEarly) member.beat(0, lie);
    t.ok(member.nowMs - beginMs <= 1_000, `found out after ${member.nowMs - beginMs} ms`);
    const foundMs = member.nowMs;
    t.equal(member.extraWork(), 0);
    // From now on it tells the truth.
    member.queue = 200;
    while (!member.reported.acknowledgesEarly) member.beat(50);
    distrustedMs.push(member.nowMs - foundMs);
  }
  for (const [at, expectedMs] of [10_000, 20_000, 40_000].entries()) {
    const lastedMs = distrustedMs[at] as number;
    t.ok(lastedMs >= expectedMs && lastedMs <= expectedMs + 1_000, `${lastedMs} of ${expectedMs} ms`);
  }
  t.end();
});

test("how late an event loop is counts for half a second, also when nothing else is reported", (t) => {
  const reported = new ReportedLoad();
  const seen = { inFlight: 0, taken: 0, ackLatencyMs: undefined };
  reported.heard({ state: "up", queueDepth: 0, eventLoopLagMs: 300 }, seen, 1_000);
  t.equal(reported.eventLoopLagMs(1_500), 300);
  t.equal(reported.eventLoopLagMs(1_501), undefined);
  reported.heard({ state: "up", eventLoopLagMs: 400 }, seen, 2_000);
  t.equal(reported.eventLoopLagMs(2_000), 400);
  reported.heard({ state: "up" }, seen, 2_100);
  t.equal(reported.eventLoopLagMs(2_100), undefined);
  t.end();
});

const anyNumber = fc.oneof(
  fc.constantFrom(0, 1, 5, 1_000, Number.MAX_VALUE, Number.MIN_VALUE),
  fc.double({ min: 0, max: 1e4, noNaN: true }),
);
const maybe = fc.option(anyNumber, { nil: undefined });
const anyReport = fc.record({
  queueDepth: maybe,
  serviceTimeMs: maybe,
  afterMs: fc.constantFrom(0, 1, 60, 250, 300, 3_000),
  given: fc.nat(100),
});

test("whatever is reported, reports never make a member look less busy, and never beyond their time", (t) => {
  const property = fc.property(fc.array(anyReport, { maxLength: 60 }), fc.nat(20), (reports, inFlight) => {
    const reported = new ReportedLoad();
    const seen = { inFlight, taken: 0, ackLatencyMs: 1 };
    let nowMs = 0;
    for (const { queueDepth, serviceTimeMs, afterMs, given } of reports) {
      nowMs += afterMs;
      seen.taken += given;
      const heartbeat: MemberHeartbeat = {
        state: "up",
        ...(queueDepth === undefined ? {} : { queueDepth }),
        ...(serviceTimeMs === undefined ? {} : { serviceTimeMs }),
      };
      reported.heard(heartbeat, { ...seen }, nowMs);
      for (const laterMs of [0, 400, 501, 30_001]) {
        const work = reported.extraWork(seen, 1, nowMs + laterMs);
        if (!(work >= 0) || Number.isNaN(work)) return false;
        if (laterMs > 500 && !reported.acknowledgesEarly && work > 0) return false;
        if (laterMs > 30_000 && (work > 0 || reported.serviceMs(nowMs + laterMs) !== undefined)) return false;
      }
    }
    return true;
  });
  fc.assert(property, { numRuns: 1_000 });
  t.pass("1,000 reporters");
  t.end();
});

test("a heartbeat that is replayed says nothing new for long: it is a queue that does not shrink", (t) => {
  const member = new Reporter(5);
  for (let beats = 0; beats < 4; beats++) member.beat(80);
  const replayed = { queueDepth: member.queue };
  const beginMs = member.nowMs;
  while (member.reported.acknowledgesEarly && member.nowMs < beginMs + 60_000) member.beat(0, replayed);
  t.ok(member.nowMs - beginMs <= 1_000, `${member.nowMs - beginMs} ms`);
  t.equal(member.extraWork(), 0);
  t.end();
});
