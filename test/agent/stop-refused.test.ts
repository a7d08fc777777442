/** Regression: a stop on a full disk said that nothing accepted is lost, and what was in memory was. */
import { join } from "node:path";
import { test } from "tap";
import { mountSmallDisk } from "../support/small-disk.ts";
import { deliverAll, openBuffer } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { noisyTrade, until } from "./support.ts";

for (const [name, leftBytes] of [
  ["no room", 0],
  ["room for some", 160 * 1_024],
] as const) {
  test(`a stop with ${name} on the disk writes what it can, says how many ticks are lost, and the next start tells of them`, async (t) => {
    const disk = await mountSmallDisk(t, 8);
    if (disk === undefined) return void t.pass("SKIPPED: a small disk cannot be mounted; that needs root");
    const directory = join(disk.path, "agent");
    const { buffer, stop } = await openBuffer(t, directory, { commitLatencyMs: 10_000 });
    for (let n = 1; n <= 100; n += 1) buffer.put(noisyTrade(n));
    await buffer.flush();
    disk.fill(leftBytes);
    for (let n = 101; n <= 4_000; n += 1) buffer.put(noisyTrade(n));
    await until(() => buffer.intake().refused);
    const error = await stop().then(
      () => t.fail("it stopped as if all were well"),
      (refusal: Error) => refusal,
    );
    t.match(error, { code: "EQ_TICKS_UNSTORED" });
    const lost = Number(/(\d+) ticks were in memory alone/.exec((error as Error).message)?.[1]);
    disk.free();
    const again = await openBuffer(t, directory);
    const { holes, gaps, tradeIds } = judge(await deliverAll(again.buffer));
    t.same(holes, []);
    t.equal(tradeIds.size + lost, 4_000, `${lost} lost`);
    t.match(gaps, [{ reason: "evicted", count: lost, fromSeq: tradeIds.size + 1, toSeq: 4_000 }]);
    t.ok(leftBytes === 0 ? lost === 3_900 : lost < 3_900, `${tradeIds.size} were written`);
  });
}
