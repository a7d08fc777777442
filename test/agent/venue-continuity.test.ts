import type { Missing, VenueTrade } from "@equipoise/shared";
import { test } from "tap";
import { Continuity } from "../../agent/src/source/venue/continuity.ts";
import { RecentIds } from "../../agent/src/source/venue/recent-ids.ts";
import type { VenueTick } from "../../agent/src/source/venue/venue.ts";
import { counting, FakeClock, trade } from "./support.ts";

/** A trade that covers the ids from `first` to `last`; its time goes with its id. */
function tick(last: number, first = last, timeUs = 1_000_000 + last): VenueTick {
  return { trade: { ...trade(last), exchangeTimeUs: timeUs }, ids: { first, last } };
}

function continuity() {
  const clock = new FakeClock();
  const out: (VenueTrade | Missing)[] = [];
  const subject = new Continuity({
    clock,
    trade: (one) => out.push(one),
    gap: (missing) => out.push(missing),
  });
  const take = (...ticks: VenueTick[]) => {
    for (const one of ticks) subject.take(one, false);
  };
  /** Trade ids, and for gap records what is missing. */
  const said = () =>
    out.map((record) =>
      "price" in record
        ? Number(record.tradeId)
        : `${record.fromTradeId}-${record.toTradeId}: ${record.count}`,
    );
  return { clock, out, subject, take, said };
}

test("a hole that closes in time leaves no trace but order", async (t) => {
  const { clock, take, said } = continuity();
  take(tick(1), tick(4), tick(3));
  clock.advance(999);
  t.same(said(), [1]);
  take(tick(2));
  clock.advance(2_000);
  t.same(said(), [1, 2, 3, 4]);
});

test("a hole that stays becomes a gap record after a second, between the trades beside it", async (t) => {
  const { clock, out, take, said } = continuity();
  take(tick(1), tick(4), tick(5), tick(9));
  clock.advance(1_000);
  t.same(said(), [1, "2-3: 2", 4, 5, "6-8: 3", 9]);
  t.same(out[1], {
    reason: "feed",
    count: 2,
    fromTradeId: "2",
    toTradeId: "3",
    fromTimeUs: 1_000_001,
    toTimeUs: 1_000_004,
  });
});

test("an agent that stood still reads what has come before it gives a hole up", (t) => {
  for (const isRead of [true, false]) {
    const { clock, take, said } = continuity();
    take(tick(1), tick(3));
    clock.advance(5_000);
    t.same(said(), [1]);
    if (isRead) take(tick(2));
    clock.advance(50);
    t.same(said(), isRead ? [1, 2, 3] : [1, "2-2: 1", 3]);
  }
  t.end();
});

test("a second hole gets its own second", async (t) => {
  const { clock, take, said } = continuity();
  take(tick(1), tick(3), tick(5));
  clock.advance(900);
  take(tick(2));
  clock.advance(900);
  t.same(said(), [1, 2, 3]);
  clock.advance(100);
  t.same(said(), [1, 2, 3, "4-4: 1", 5]);
});

test("what comes twice, or after its gap record, is dropped and counted", async (t) => {
  const { clock, subject, take, said } = continuity();
  take(tick(1), tick(1), tick(4), tick(4));
  clock.advance(1_000);
  take(tick(2), tick(4), tick(5));
  t.same(said(), [1, "2-3: 2", 4, 5]);
  t.equal(subject.repeated, 4);
});

test("what waits behind a hole is bounded; at the bound the hole is given up at once", async (t) => {
  const { take, said } = continuity();
  take(tick(1), ...counting(3, 4_097).map((id) => tick(id)));
  t.same(said(), [1]);
  take(tick(4_098));
  t.same(said(), [1, "2-2: 1", ...counting(3, 4_098)]);
});

test("an aggregate counts for all its ids", async (t) => {
  const { clock, take, said } = continuity();
  take(tick(3, 1), tick(9, 7), tick(6, 4), tick(20, 15));
  clock.advance(1_000);
  t.same(said(), [3, 6, 9, "10-14: 5", 20]);
});

test("ids that begin anew are noticed by their times and cost one gap record", async (t) => {
  const { out, take, said } = continuity();
  take(tick(5_000), tick(1, 1, 5_000_000), tick(2, 2, 5_000_001));
  t.same(said(), [5_000, "undefined-undefined: null", 1, 2]);
  t.match(out[1], { reason: "feed", count: null, fromTimeUs: 1_005_000, toTimeUs: 5_000_000 });
});

test("a snapshot with ids of long ago is never taken for ids that begin anew", async (t) => {
  const { subject, take, said } = continuity();
  take(tick(50));
  subject.take(tick(7, 7, 99_000_000), true);
  t.same(said(), [50]);
});

test("stopping lets out what waits", async (t) => {
  const { subject, take, said } = continuity();
  take(tick(1), tick(3));
  subject.settle();
  t.same(said(), [1, "2-2: 1", 3]);
});

test("of ids without order the newest are known, and no more", async (t) => {
  const recent = new RecentIds();
  t.ok(recent.add("a"));
  t.notOk(recent.add("a"));
  for (const id of counting(1, 8_191)) recent.add(String(id));
  t.notOk(recent.add("a"));
  recent.add("one more");
  t.ok(recent.add("a"), "the oldest is forgotten");
});
