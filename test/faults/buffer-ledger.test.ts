import { encodeRecord, type Gap } from "@equipoise/shared";
import { test } from "tap";
import { counting } from "../agent/support.ts";
import { gap, trade } from "../shared/client/fixtures.ts";
import { BufferLedger } from "./buffer-ledger.ts";

/** Two lives with 5,000 committed numbers, of which 2,000 were given up in the first. */
function faults(lost: readonly number[], ...gaps: Gap[]): string[] {
  const ledger = new BufferLedger();
  ledger.committed("S", 1, 5_000);
  const kept = counting(1, 5_000).filter((seq) => (seq <= 1_000 || seq > 3_000) && !lost.includes(seq));
  for (const seq of kept) ledger.sent("S", encodeRecord(trade(seq)), 1);
  const evicted = gap(5_001, { reason: "evicted", count: 2_000, fromSeq: 1_001, toSeq: 3_000 });
  for (const record of [evicted, ...gaps]) ledger.sent("S", encodeRecord(record), 2);
  return ledger.faults();
}

test("among thousands of ticks that were given up, the judge of the power cuts sees a single one that is lost", async (t) => {
  t.same(faults([]), []);
  t.match(faults([4_000]), [/4000 is neither/, /4000 was committed/]);
  const crash = gap(5_002, { reason: "crash", fromSeq: 4_000, toSeq: 4_000 });
  t.match(faults([4_000], crash), [/S: 4000 was committed and is a crash at most/]);
  t.same(faults([], crash), [], "a crash may concern what was there");
});

test("the judge sees what is told of as lost and was not", async (t) => {
  const evicted = gap(5_002, { reason: "evicted", count: 1, fromSeq: 4_000, toSeq: 4_000 });
  t.same(faults([], evicted), [], "its PUBACK was not noted in the first life");
  const ledger = new BufferLedger();
  for (const record of [trade(1), gap(2, { fromSeq: 1, toSeq: 1, count: 1 })])
    ledger.sent("S", encodeRecord(record), 1);
  t.same(ledger.faults(), ["S: 1 is told of as lost and was there in that life"]);
});
