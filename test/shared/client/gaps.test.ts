import fc from "fast-check";
import { test } from "tap";
import { GapDetector } from "../../../shared/src/client/gaps.ts";
import type { MissingTicks } from "../../../shared/src/client/missing.ts";
import { gap, topic, trade } from "./fixtures.ts";

const short = ({ reason, count, fromSeq, toSeq }: MissingTicks): unknown[] => [reason, count, fromSeq, toSeq];

function observeAll(
  records: Parameters<GapDetector["observe"]>[1][],
  detector = new GapDetector(),
): unknown[][] {
  return records.flatMap((record) => detector.observe(topic, record)).map(short);
}

test("whatever is lost on the way: read and missing together are everything, each number once", async (t) => {
  const lost = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 });
  fc.assert(
    fc.property(lost, fc.array(fc.nat(5), { minLength: 61, maxLength: 61 }), (missing, repeats) => {
      const read = Array.from({ length: 61 }, (_, index) => index).filter((seq) => !missing.includes(seq));
      const detector = new GapDetector();
      // Record 0 stands for where reading began; every record may come again later.
      const arrivals = read.flatMap((seq, index) =>
        repeats[index] === 0 && index > 2 ? [seq, read[index - 2] ?? 0] : [seq],
      );
      const found = arrivals.flatMap((seq) => detector.observe(topic, trade(seq + 1)));
      const reported = found.flatMap(({ fromSeq = 0, toSeq = 0 }) =>
        Array.from({ length: toSeq - fromSeq + 1 }, (_, index) => fromSeq + index),
      );
      const last = Math.max(...read);
      t.same(
        reported,
        missing
          .filter((seq) => seq < last)
          .map((seq) => seq + 1)
          .toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 200 },
  );
});

test("reading begins anywhere: what came before the first record is not missing", async (t) => {
  t.same(observeAll([trade(1_042), trade(1_043), trade(1_045)]), [["hole", 1, 1_044, 1_044]]);
});

test("a gap record explains its range; what it does not explain is a hole beside it", async (t) => {
  t.same(observeAll([trade(10), gap(15, { fromSeq: 11, toSeq: 14, count: 4 })]), [["evicted", 4, 11, 14]]);
  t.same(observeAll([trade(10), gap(20, { fromSeq: 13, toSeq: 15, count: 3 })]), [
    ["hole", 2, 11, 12],
    ["evicted", 3, 13, 15],
    ["hole", 4, 16, 19],
  ]);
});

test("of numbers that a crash left behind nobody knows how many ticks there were", async (t) => {
  const record = { ...gap(300, { fromSeq: 5, toSeq: 299, count: null }), reason: "crash" as const };
  t.same(observeAll([trade(10), record]), [["crash", null, 11, 299]]);
});

test("what the agent gave up but had arrived before is not missing", async (t) => {
  t.same(observeAll([trade(10), trade(11), trade(12), gap(13, { fromSeq: 11, toSeq: 12, count: 2 })]), []);
  t.same(observeAll([trade(10), trade(11), gap(14, { fromSeq: 11, toSeq: 13, count: 3 })]), [
    ["evicted", 2, 12, 13],
  ]);
});

test("a gap record about ticks without numbers is reported once, also when it fills a hole late", async (t) => {
  const feed = gap(12, { reason: "feed", fromTradeId: "7", toTradeId: "9", count: 3 });
  t.same(observeAll([trade(11), feed, feed, trade(13)]), [["feed", 3, undefined, undefined]]);
  t.same(observeAll([trade(10), trade(14), feed, feed, trade(11)]), [
    ["hole", 3, 11, 13],
    ["feed", 3, undefined, undefined],
  ]);
});

test("a new epoch begins at 1; when it does not say how the one before ended, that is open", async (t) => {
  const next = { epoch: "01K" };
  const open = ["epoch", null, 11, undefined];
  t.same(observeAll([trade(10), trade(1, next), trade(2, next), trade(11)]), [open]);
  t.same(observeAll([trade(10), trade(3, next)]), [["hole", 2, 1, 2], open]);
  const nameless = gap(1, { ...next, reason: "crash", fromSeq: 11, toSeq: 12, count: 2 });
  t.same(observeAll([trade(10), nameless]), [["crash", 2, 11, 12], open]);
  const other = gap(1, { ...next, reason: "corrupt", ofEpoch: "01H", toSeq: 12 });
  t.same(observeAll([trade(10), other]), [["corrupt", null, undefined, undefined], open]);
});

test("a new epoch of a device whose clock was behind leaves the end of the one before open, too", async (t) => {
  const behind = { epoch: "01A" };
  t.same(observeAll([trade(10), trade(1, behind), trade(2, behind)]), [["epoch", null, 11, undefined]]);
  const named = gap(1, { epoch: "01K", reason: "corrupt", ofEpoch: "01J", toSeq: 20 });
  t.same(observeAll([named, trade(7), trade(2, { epoch: "01K" })]).slice(1), [], "this one comes late");
});

test("a new epoch that names the one before but not its last number tells from where on", async (t) => {
  const next = gap(1, { epoch: "01K", reason: "corrupt", ofEpoch: "01J" });
  const detector = new GapDetector();
  detector.observe(topic, trade(10));
  t.match(detector.observe(topic, next), [{ epoch: "01J", reason: "corrupt", count: null, fromSeq: 11 }]);
});

test("how an epoch ended is told by the next one, of that only what was not read", async (t) => {
  const next = { epoch: "01K", reason: "corrupt" as const, ofEpoch: "01J", toSeq: 300 };
  const last = (seq: number): MissingTicks[] => {
    const detector = new GapDetector();
    detector.observe(topic, trade(10));
    detector.observe(topic, trade(seq));
    return [...detector.observe(topic, gap(1, next)), ...detector.observe(topic, gap(1, next))];
  };
  t.match(last(11), [{ epoch: "01J", reason: "corrupt", count: null, fromSeq: 12, toSeq: 300 }]);
  t.match(last(300), [{ fromSeq: 11, toSeq: 299 }].slice(1), "all was read, or told before");
  const joined = new GapDetector().observe(topic, gap(1, next));
  t.same(joined.map(short), [["corrupt", null, undefined, undefined]], "nobody knows what was read before");
});

test("records of an epoch that has ended still fill its holes", async (t) => {
  const detector = new GapDetector();
  detector.observe(topic, trade(10));
  detector.observe(topic, gap(1, { epoch: "01K", reason: "corrupt", ofEpoch: "01J", toSeq: 20 }));
  const feed = gap(15, { reason: "feed", count: 2 });
  t.same([feed, feed].flatMap((record) => detector.observe(topic, record)).map(short), [
    ["feed", 2, undefined, undefined],
  ]);
});

test("a gap record that knows only where its range ends explains what is missing up to there", async (t) => {
  const record = gap(30, { reason: "corrupt", count: null, toSeq: 25 });
  t.same(observeAll([trade(10), record]), [
    ["corrupt", null, 11, 25],
    ["hole", 4, 26, 29],
  ]);
  t.same(observeAll([trade(10), trade(29), record]), [["hole", 18, 11, 28]], "reported once");
});

test("streams are told apart, and beyond maxStreams the longest-silent one is forgotten", async (t) => {
  const detector = new GapDetector(2);
  const observe = (name: string, seq: number) => detector.observe(name, trade(seq)).map(short);
  t.same([observe("a", 1), observe("b", 5), observe("a", 3)], [[], [], [["hole", 1, 2, 2]]]);
  observe("c", 1);
  t.same(observe("a", 9), [["hole", 5, 4, 8]], "a is still known");
  t.same(observe("b", 9), [], "b begins anew");
});
