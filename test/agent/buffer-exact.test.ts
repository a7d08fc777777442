/**
 * What readers are told to be missing is exactly what they have not had. Regression: chunks that were being read while a
 * commit evicted them were delivered, and told to be lost.
 */
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { BufferHistory } from "./buffer-history.ts";
import { judge } from "./completeness.ts";

const seeds = Number(process.env.HISTORIES ?? 4);

for (let seed = 1; seed <= seeds; seed += 1) {
  test(`history ${seed}: every number was acknowledged or told of as lost, none was both, none was told twice`, async (t) => {
    const history = new BufferHistory(t, await temporaryDirectory(t), seed);
    await history.run();
    let given = 0;
    for (const [symbol, payloads] of history.delivered) {
      const { holes, usedTwice, gaps } = judge([...payloads]);
      t.same([holes, usedTwice], [[], []], symbol);
      const seqs = new Set([...payloads].map((payload) => JSON.parse(payload).seq as number));
      const told = gaps.flatMap(({ fromSeq = 1, toSeq = 0 }) =>
        Array.from({ length: toSeq - fromSeq + 1 }, (_, index) => fromSeq + index),
      );
      t.same(
        told.filter((seq) => seqs.has(seq)),
        [],
        "none was both",
      );
      t.equal(new Set(told).size, told.length, "none was told twice");
      const own = gaps.filter(({ reason }) => reason === "evicted");
      t.ok(own.every(({ count, fromSeq = 1, toSeq = 0 }) => count === toSeq - fromSeq + 1));
      given += told.length;
    }
    t.comment(`${history.delivered.get("A")?.size} of A acknowledged, ${history.restarts} restarts`);
    t.equal(history.lost, given, "and the heartbeat says how many");
  });
}
