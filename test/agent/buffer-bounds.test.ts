import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Gap } from "@equipoise/shared";
import { type Test, test } from "tap";
import type { BufferOptions } from "../../agent/src/buffer/options.ts";
import type { SqliteBuffer } from "../../agent/src/buffer/sqlite-buffer.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { deliverAll, deliverAllTold, openBuffer, putChunks, takeAll } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { counting, FakeClock, noisyTrade, trade, until } from "./support.ts";

async function fill(buffer: SqliteBuffer, count: number, symbols = ["A", "B"]): Promise<void> {
  for (let n = 1; n <= count; n += 1) {
    buffer.put(noisyTrade(n, symbols[n % symbols.length]));
    if (n % 512 === 0) await buffer.flush();
  }
  await buffer.flush();
}

/** In no time: a pause would end a run of losses. */
async function overfill(t: Test, options: Partial<BufferOptions>) {
  const { buffer, lines, stop } = await openBuffer(t, await temporaryDirectory(t), {
    clock: new FakeClock(),
    maxBytes: 2 ** 20,
    ...options,
  });
  await fill(buffer, 20_000);
  const bytes = buffer.stats().bytes;
  const bySymbol = new Map<string, string[]>();
  const deliver = async (): Promise<void> => {
    const ticks = await takeAll(buffer);
    for (const { payload, stream } of ticks) {
      bySymbol.get(stream.symbol)?.push(payload);
      if (!bySymbol.has(stream.symbol)) bySymbol.set(stream.symbol, [payload]);
    }
    const last = ticks.at(-1);
    if (last !== undefined) buffer.settle(last.position);
    await buffer.flush();
  };
  await deliver();
  await deliver(); // gap records are written when the run is over
  const judged = [...bySymbol.values()].map(judge);
  return { buffer, lines, stop, bytes, judged };
}

const countOf = (gaps: readonly Gap[]): number => gaps.reduce((sum, { count }) => sum + (count ?? 0), 0);

test("dropOldest: the oldest go, one gap record a stream says exactly which, and the bound holds", async (t) => {
  const { buffer, lines, bytes, judged } = await overfill(t, { whenFull: "dropOldest" });
  t.ok(bytes <= 2 ** 20, `${bytes} bytes`);
  t.equal(judged.length, 2);
  for (const { holes, gaps, tradeIds } of judged) {
    t.same(holes, []);
    t.match(gaps, [{ reason: "evicted" }]);
    t.equal(gaps.length, 1, "one for the whole run");
    t.ok((gaps[0]?.fromSeq ?? 0) < 2_000, "the oldest, but for those that were read already");
    t.equal(countOf(gaps) + tradeIds.size, 10_000);
  }
  t.equal(
    buffer.stats().lost,
    judged.reduce((sum, { gaps }) => sum + countOf(gaps), 0),
  );
  t.equal(lines.filter(({ event }) => event === "bufferFull").length, 1, "said once");
});

test("dropNewest: new ticks are dropped, one gap record a stream says exactly which", async (t) => {
  const { buffer, bytes, judged } = await overfill(t, { whenFull: "dropNewest" });
  t.ok(bytes <= 2 ** 20 + 2 ** 17, `${bytes} bytes`);
  for (const { holes, gaps, tradeIds } of judged) {
    t.same(holes, []);
    t.equal(gaps.length, 1);
    t.match(gaps, [{ reason: "evicted" }]);
    t.ok((gaps[0]?.fromSeq ?? 0) > 1, "the oldest are there");
    t.equal(countOf(gaps) + tradeIds.size, 10_000);
  }
  t.ok(buffer.stats().lost > 0);
});

test("what was lost is told of after a restart, once", async (t) => {
  const directory = await temporaryDirectory(t);
  const options = { clock: new FakeClock(), maxBytes: 2 ** 20, whenFull: "dropNewest" } as const;
  const before = await openBuffer(t, directory, options);
  await fill(before.buffer, 20_000, ["A"]);
  await before.stop();
  const { buffer, stop } = await openBuffer(t, directory, options);
  const payloads = await deliverAllTold(buffer);
  const { holes, gaps } = judge(payloads);
  t.same(holes, []);
  t.equal(gaps.length, 1);
  await stop();
  const again = await openBuffer(t, directory, options);
  t.same(await deliverAll(again.buffer), []);
});

test("on a disk with too little left a few thousand ticks may wait, and what the link takes passes without end", async (t) => {
  const options = { minFreeDiskBytes: 2 ** 50, keepAcknowledgedMs: 600_000 };
  const { buffer, lines } = await openBuffer(t, await temporaryDirectory(t), options);
  buffer.put(trade(1));
  await deliverAll(buffer);
  await buffer.flush();
  const { bytes } = buffer.stats();
  for (let n = 2; n <= 20_000; n += 1) {
    if (!buffer.put(trade(n))) throw new Error(`${n} must wait`);
    if (n % 1_000 > 0) continue;
    await deliverAll(buffer);
    await buffer.flush();
  }
  t.ok(buffer.stats().bytes < bytes + 100_000, `${bytes}, then ${buffer.stats().bytes} bytes`);
  let waiting = 0;
  while (buffer.put(trade(20_001 + waiting))) waiting += 1;
  t.equal(waiting, 4_095);
  t.match(buffer.intake(), { full: true });
  const rest = await deliverAll(buffer);
  await until(() => buffer.put(trade(30_000)));
  t.equal(rest.length, 4_096);
  t.match(
    lines.find(({ event }) => event === "bufferFull"),
    {
      code: "EQ_LIMIT_REACHED",
      msg: /less of the disk is free than buffer\.minFreeDiskBytes; .* Remedy: .*make some or lower it/,
    },
  );
});

for (const whenFull of ["dropNewest", "dropOldest"] as const) {
  test(`${whenFull}: what a disk with too little left has no place for is told of while it stays so`, async (t) => {
    const options = { minFreeDiskBytes: 2 ** 50, whenFull } as const;
    const { buffer } = await openBuffer(t, await temporaryDirectory(t), options);
    await fill(buffer, 1, ["A"]);
    await deliverAll(buffer);
    await buffer.flush(); // which finds out about the disk
    await fill(buffer, 10_000, ["A"]);
    const payloads = await deliverAllTold(buffer);
    const { holes, usedTwice, gaps, tradeIds } = judge(payloads);
    t.same([holes.filter((seq) => seq > 1), usedTwice], [[], []]);
    t.ok(tradeIds.size >= 4_000, `${tradeIds.size} got through`);
    t.equal(gaps.reduce((sum, { count }) => sum + (count ?? Number.NaN), 0) + tradeIds.size, 10_000);
    t.equal(buffer.stats().state, "full");
  });
}

test("acknowledged ticks can be asked for again, for so long and so many bytes", async (t) => {
  const clock = new FakeClock();
  const options = { clock, keepAcknowledgedMs: 600_000, keepAcknowledgedBytes: 2 ** 20 };
  const directory = await temporaryDirectory(t);
  const { buffer, stop } = await openBuffer(t, directory, options);
  for (let n = 1; n <= 3_000; n += 1) buffer.put(trade(n, n % 3 === 0 ? "A" : "B"));
  const sent = await deliverAll(buffer);
  await buffer.flush();
  for (let n = 3_001; n <= 3_010; n += 1) buffer.put(trade(n, "A"));
  const ofA = sent.filter((payload) => payload.includes('"symbol":"A"'));
  t.same(
    await buffer.range({ venue: "binance", symbol: "A", fromSeq: 100, toSeq: 110 }, 1_000),
    ofA.slice(99, 110),
  );
  t.same(
    await buffer.range({ venue: "binance", symbol: "A", fromSeq: 100, toSeq: 900 }, 5),
    ofA.slice(99, 104),
  );
  const acrossMemory = await buffer.range({ venue: "binance", symbol: "A", fromSeq: 990, toSeq: 1_005 }, 100);
  t.same(
    acrossMemory.map((payload) => JSON.parse(payload).seq),
    counting(990, 1_005),
  );
  t.same(await buffer.range({ venue: "binance", symbol: "C", fromSeq: 1, toSeq: 5 }, 5), []);
  t.match(JSON.parse(buffer.latest("binance", "A") ?? ""), { tradeId: "3010" });
  await deliverAll(buffer);
  await stop();

  const again = await openBuffer(t, directory, options);
  t.equal(
    (await again.buffer.range({ venue: "binance", symbol: "B", fromSeq: 1, toSeq: 2_000 }, 9_999)).length,
    2_000,
    "after a restart too",
  );
  clock.advance(600_001);
  again.buffer.put(trade(3_011, "A"));
  await again.buffer.flush();
  t.same(
    await again.buffer.range({ venue: "binance", symbol: "B", fromSeq: 1, toSeq: 2_000 }, 9_999),
    [],
    "no longer than that",
  );
});

test("after an outage live ticks and backlog take turns, and every number comes", async (t) => {
  const clock = new FakeClock();
  const { buffer } = await openBuffer(t, await temporaryDirectory(t), { clock });
  for (let n = 1; n <= 40_000; n += 1) {
    buffer.put(trade(n));
    if (n % 1_024 === 0) await buffer.flush();
  }
  await buffer.flush();
  clock.advance(60_000);
  for (let n = 40_001; n <= 40_100; n += 1) buffer.put(trade(n));
  await until(() => buffer.stats().oldestAgeMs !== null);
  const payloads: string[] = [];
  const taken = new Set<string>();
  await until(() => {
    while (payloads.length < 9_000) {
      const tick = buffer.take();
      if (tick === undefined) return false;
      payloads.push(tick.payload);
      taken.add(JSON.parse(tick.payload).tradeId);
      buffer.settle(tick.position);
    }
    return true;
  });
  t.ok(taken.has("40100"), "the newest is among the first 9,000 of 40,100");
  t.ok(taken.has("1"), "and so is the oldest");
  payloads.push(...(await deliverAll(buffer)));
  const { holes, tradeIds } = judge(payloads);
  t.same([holes, tradeIds.size], [[], 40_100]);
  t.equal(payloads.length, 40_100, "none twice");
  t.equal(buffer.stats().ticks, 0);
});

test("a young backlog goes out in order", async (t) => {
  const { buffer } = await openBuffer(t, await temporaryDirectory(t), { clock: new FakeClock() });
  for (let n = 1; n <= 12_000; n += 1) {
    if (!buffer.put(trade(n))) await buffer.room();
  }
  const payloads = await deliverAll(buffer);
  t.same(
    payloads.map((payload) => JSON.parse(payload).seq),
    counting(1, 12_000),
  );
});

test("newestFirst: the newest chunk of the backlog goes first, and every number comes", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory);
  await putChunks(before.buffer, 10_000);
  await before.stop();
  const { buffer } = await openBuffer(t, directory, { drain: "newestFirst" });
  const payloads = await deliverAll(buffer);
  t.match(JSON.parse(payloads[0] ?? ""), { seq: 9_001 });
  const { holes, tradeIds } = judge(payloads);
  t.same([holes, tradeIds.size, payloads.length], [[], 10_000, 10_000]);
});

for (const whenFull of ["dropOldest", "block"] as const) {
  test(`newestFirst, ${whenFull}: what is acknowledged makes room before what waits goes`, async (t) => {
    const [directory, maxBytes] = [await temporaryDirectory(t), 2 ** 20];
    const before = await openBuffer(t, directory, { maxBytes });
    let count = 0;
    for (; before.buffer.stats().bytes < 0.8 * maxBytes; count += 512) await fill(before.buffer, 512, ["A"]);
    await before.stop();
    const { buffer } = await openBuffer(t, directory, { drain: "newestFirst", whenFull, maxBytes });
    let taken = 0;
    await until(() => {
      for (let tick = buffer.take(); tick !== undefined; tick = buffer.take()) {
        buffer.settle(tick.position);
        taken += 1;
        if (taken >= count * 0.75) return true;
      }
      return false;
    });
    await fill(buffer, count / 2, ["A"]);
    t.match(buffer.stats(), { lost: 0, state: "open" }, "a quarter waits, half as many are new");
    t.ok(buffer.stats().bytes < 0.9 * maxBytes);
  });
}

test("when the backlog is gone its pages are given back to the system, but for 8 MiB", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, stop } = await openBuffer(t, directory);
  for (let n = 1; n <= 20_000; n += 1) {
    const large = { ...trade(n), tradeId: randomBytes(1_000).toString("hex") };
    if (!buffer.put(large)) await buffer.room();
  }
  await buffer.flush();
  const { bytes } = buffer.stats();
  t.ok(bytes > 16 * 2 ** 20, `${bytes} bytes at the most`);
  await deliverAll(buffer);
  for (let n = 1; n <= 30; n += 1) {
    buffer.put(trade(n));
    await buffer.flush();
  }
  const used = buffer.stats().bytes;
  await stop();
  const { size } = statSync(join(directory, "buffer.db"));
  t.ok(size <= used + 9 * 2 ** 20, `${used} bytes in use, the file has ${size}`);
});

test("a source that waits whenever it is asked to is never left waiting", async (t) => {
  const { buffer } = await openBuffer(t, await temporaryDirectory(t), { commitLatencyMs: 10_000 });
  let waits = 0;
  for (let n = 1; waits < 20; n += 1) {
    if (buffer.put(trade(n))) continue;
    waits += 1;
    await buffer.room();
  }
  t.equal(waits, 20);
});
