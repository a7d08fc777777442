/** Ticks that are too old are given up, wherever they are, by a clock of their own. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import type { Gap } from "@equipoise/shared";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { deliverAll, deliverAllTold, openBuffer, putChunks } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { counting, FakeClock, trade, until } from "./support.ts";

const hourMs = 3_600_000;

const countOf = (gaps: readonly Gap[]): number => gaps.reduce((sum, { count }) => sum + (count ?? 0), 0);

test("ticks that are too old are given up by the agent's own uptime, over restarts, whatever the wall clock says", async (t) => {
  const directory = await temporaryDirectory(t);
  const clock = new FakeClock();
  const options = { clock, maxAgeMs: 3_600_000, commitLatencyMs: 10 };
  const first = await openBuffer(t, directory, options);
  first.buffer.put(trade(1));
  await first.buffer.flush();
  clock.advance(1_800_000);
  await first.stop();

  clock.step(-7_200_000);
  const second = await openBuffer(t, directory, options);
  second.buffer.put(trade(2));
  await second.buffer.flush();
  clock.step(14_400_000);
  clock.advance(1_700_000);
  second.buffer.put(trade(3));
  await second.buffer.flush();
  t.equal(second.buffer.stats().lost, 0, "58 minutes old, whatever the wall clock says");
  clock.advance(200_000);
  second.buffer.put(trade(4));
  await second.buffer.flush();
  t.equal(second.buffer.stats().lost, 1, "also what was already read for sending");
  const { gaps, holes } = judge(await deliverAllTold(second.buffer));
  t.same(holes, []);
  t.match(gaps.at(-1), { reason: "evicted", count: 1, fromSeq: 1, toSeq: 1 });
});

test("a slow feed: live ticks that are too old are given up, but for those on their way to the broker", async (t) => {
  const clock = new FakeClock();
  const { buffer } = await openBuffer(t, await temporaryDirectory(t), { clock, maxAgeMs: hourMs });
  buffer.put(trade(1));
  await buffer.flush();
  const onItsWay = buffer.take();
  for (let n = 2; n <= 50; n += 1) {
    buffer.put(trade(n));
    await buffer.flush();
    clock.advance(hourMs);
  }
  await buffer.flush();
  t.match(buffer.stats(), { lost: 48, ticks: 2 });
  const payloads = [onItsWay?.payload ?? "", ...(await deliverAllTold(buffer))];
  const { holes, gaps, tradeIds } = judge(payloads);
  t.same(holes, []);
  t.match(gaps, [{ count: 48, fromSeq: 2, toSeq: 49 }]);
  t.same([...tradeIds], ["1", "50"]);
});

for (const drain of ["oldestFirst", "newestFirst"] as const) {
  test(`a feed that has ended, ${drain}: what waits is given up when it is too old, and told of`, async (t) => {
    const clock = new FakeClock();
    const options = { clock, maxAgeMs: hourMs, drain };
    const { buffer } = await openBuffer(t, await temporaryDirectory(t), options);
    await putChunks(buffer, 10_000);
    clock.advance(0.9 * hourMs);
    t.equal(buffer.stats().lost, 0);
    await until(() => {
      clock.advance(60_000);
      return buffer.stats().lost >= 10_000;
    });
    const { holes, gaps, tradeIds } = judge(await deliverAllTold(buffer));
    t.same([holes, tradeIds.size], [[], 0]);
    t.ok(gaps.length > 0 && countOf(gaps) >= 10_000);
  });
}

test("while ticks wait, the time that they wait outlasts a power cut, also without a feed", async (t) => {
  const [directory, clock] = [await temporaryDirectory(t), new FakeClock()];
  const { buffer } = await openBuffer(t, directory, { clock, maxAgeMs: hourMs });
  await putChunks(buffer, 1_000);
  for (const _ of counting(1, 10)) {
    clock.advance(0.05 * hourMs);
    await buffer.flush();
  }
  const after = await temporaryDirectory(t);
  for (const name of ["buffer.db", "buffer.db-wal"]) copyFileSync(join(directory, name), join(after, name));
  const again = await openBuffer(t, after, { clock: new FakeClock(), maxAgeMs: hourMs });
  // At first it knows of nothing but its new gap record.
  await until(() => again.buffer.stats().oldestAgeMs === 0.5 * hourMs, 10_000);
  t.equal(again.buffer.stats().ticks, 1_001);
});

test("ticks that nobody has read are given up when they are too old", async (t) => {
  const clock = new FakeClock();
  const { buffer } = await openBuffer(t, await temporaryDirectory(t), { clock, maxAgeMs: 60_000 });
  for (let n = 1; n <= 30_000; n += 1) {
    buffer.put(trade(n));
    if (n % 1_024 === 0) await buffer.flush();
  }
  await buffer.flush();
  clock.advance(61_000);
  buffer.put(trade(30_001));
  await buffer.flush();
  t.ok(buffer.stats().lost > 10_000, `${buffer.stats().lost}`);
  const payloads = await deliverAll(buffer);
  await buffer.flush();
  clock.advance(11_000);
  buffer.put(trade(30_002));
  await buffer.flush();
  payloads.push(...(await deliverAll(buffer)));
  await buffer.flush();
  payloads.push(...(await deliverAll(buffer)));
  const { holes, gaps, tradeIds } = judge(payloads);
  t.same(holes, []);
  t.equal(countOf(gaps) + tradeIds.size, 30_002);
});
