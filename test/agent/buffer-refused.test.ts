/** A disk that takes nothing, under each policy: every number that was given is there or told of, and none is given twice. */
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { type Test, test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { deliverAllTold, openBuffer } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { noisyTrade, tradeOf, until } from "./support.ts";

type Buffer = Awaited<ReturnType<typeof openBuffer>>;

async function fullDisk(t: Test, mebibytes = 8): Promise<SmallDisk | undefined> {
  const disk = await mountSmallDisk(t, mebibytes);
  if (disk === undefined) t.pass("SKIPPED: a small disk cannot be mounted; that needs root");
  return disk;
}

async function putThousands({ buffer }: Buffer, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n += 1) {
    buffer.put(noisyTrade(n));
    if (n % 1_000 === 0) await buffer.flush();
  }
}

/** What a power cut leaves, of the files as they are now. */
async function copyOf(t: Test, directory: string): Promise<string> {
  const copy = await temporaryDirectory(t);
  for (const name of ["buffer.db", "buffer.db-wal"]) cpSync(join(directory, name), join(copy, name));
  return copy;
}

function metaIn(directory: string): { done: string; reserved: number } {
  const db = new Database(join(directory, "buffer.db"));
  try {
    const query = "SELECT done, (SELECT max(reserved) FROM stream) AS reserved FROM meta";
    return db.prepare<[], { done: string; reserved: number }>(query).get() ?? { done: "", reserved: 0 };
  } finally {
    db.close();
  }
}

const isRefused = ({ lines }: Buffer): Promise<unknown> =>
  until(() => lines.some(({ event }) => event === "bufferRefused"));

async function stopError({ stop }: Buffer): Promise<string> {
  return await stop().then(
    () => "",
    (error: Error) => error.message,
  );
}

for (const how of ["power cut", "stop"] as const) {
  test(`an outage, a full disk, the broker back before it, then a ${how}: it starts again, and nothing is missing without a word`, async (t) => {
    const disk = await fullDisk(t);
    if (disk === undefined) return;
    const directory = join(disk.path, "agent");
    const before = await openBuffer(t, directory, { drain: "newestFirst", whenFull: "dropNewest" });
    await putThousands(before, 1, 3_000);
    disk.fill(24_000);
    for (let n = 3_001; n <= 4_200; n += 1) before.buffer.put(noisyTrade(n));
    await isRefused(before);
    const sent: string[] = [];
    await until(() => {
      for (let tick = before.buffer.take(); tick && sent.length < 60; tick = before.buffer.take()) {
        sent.push(tick.payload);
        before.buffer.settle(tick.position);
      }
      return sent.length >= 60;
    });
    // Another try, which writes down what is acknowledged.
    await until(async () => metaIn(await copyOf(t, directory)).done !== "[0,0]");
    const copy = how === "stop" ? directory : await copyOf(t, directory);
    if (how === "stop") t.match(await stopError(before), /\d+ ticks were in memory alone/);
    disk.free();
    const again = await openBuffer(t, copy);
    const { holes, usedTwice, gaps } = judge([...sent, ...(await deliverAllTold(again.buffer))]);
    t.same([holes, usedTwice], [[], []]);
    t.ok(
      gaps.every(({ reason, count }) =>
        how === "stop" ? reason === "evicted" && count : reason === "crash",
      ),
    );
  });
}

test("dropOldest makes room on a full disk, and who reads meanwhile is told of it", async (t) => {
  const disk = await fullDisk(t, 12);
  if (disk === undefined) return;
  const directory = join(disk.path, "agent");
  const first = await openBuffer(t, directory);
  await putThousands(first, 1, 12_000);
  await first.stop();
  const options = { whenFull: "dropOldest", minFreeDiskBytes: 4 * 2 ** 20 } as const;
  const before = await openBuffer(t, directory, options);
  const { buffer } = before;
  await until(() => buffer.take() !== undefined);
  disk.fill(48_000);
  for (let n = 12_001; n <= 13_100; n += 1) buffer.put(noisyTrade(n));
  await until(() => buffer.stats().lost > 0);
  disk.free();
  const { holes, gaps, tradeIds } = judge(await deliverAllTold(buffer));
  t.same(
    holes.filter((seq) => seq > 1),
    [],
  );
  const told = gaps.reduce((sum, { count }) => sum + (count ?? Number.NaN), 0);
  t.equal(told + tradeIds.size, 13_099, `${told} told of`);
});

for (const leftBytes of [0, 4_096]) {
  test(`a stop with everything stored ends well on a disk with ${leftBytes} bytes left, and the next start has nothing to tell`, async (t) => {
    const disk = await fullDisk(t);
    if (disk === undefined) return;
    const directory = join(disk.path, "agent");
    const before = await openBuffer(t, directory);
    await putThousands(before, 1, 2_000);
    disk.fill(leftBytes);
    t.equal(await stopError(before), "");
    disk.free();
    const again = await openBuffer(t, directory);
    const { holes, gaps, tradeIds } = judge(await deliverAllTold(again.buffer));
    t.same([holes, gaps, tradeIds.size], [[], [], 2_000]);
  });
}

for (const whenFull of ["block", "dropOldest", "dropNewest"] as const) {
  for (const how of ["power cut", "stop"] as const) {
    test(`${whenFull}, a full disk, thousands of ticks more, then a ${how}: every number given is told of`, async (t) => {
      const disk = await fullDisk(t);
      if (disk === undefined) return;
      const directory = join(disk.path, "agent");
      const before = await openBuffer(t, directory, { whenFull });
      await putThousands(before, 1, 1_000);
      disk.fill(0);
      for (let n = 1_001; n <= 3_000; n += 1) before.buffer.put(noisyTrade(n));
      await isRefused(before);
      for (let n = 3_001; n <= 12_000; n += 1) {
        before.buffer.put(noisyTrade(n));
        // As often as the disk is tried again, although it takes no ticks.
        if (n % 3_000 === 0) await until(async () => metaIn(await copyOf(t, directory)).reserved >= n);
      }
      const copy = how === "stop" ? directory : await copyOf(t, directory);
      const words = how === "stop" ? await stopError(before) : "";
      disk.free();
      const again = await openBuffer(t, copy, { whenFull });
      again.buffer.put(noisyTrade(12_001));
      const payloads = await deliverAllTold(again.buffer);
      const { holes, gaps, tradeIds } = judge(payloads);
      t.same(holes, []);
      const [newest] = payloads.filter((payload) => payload.includes('"12001"'));
      t.ok(newest !== undefined && tradeOf(newest).seq > 12_000, "no number twice");
      if (how === "power cut") return void t.match(gaps, [{ reason: "crash", count: null, fromSeq: 1_001 }]);
      const told = gaps.reduce((sum, { count }) => sum + (count ?? Number.NaN), 0);
      t.equal(told + tradeIds.size, 12_001, `${told} told of`);
      t.match(words, /(\d+) ticks were in memory alone/);
    });
  }
}

test("where not even the room is left that is kept for it, all that may be lost is told of", async (t) => {
  const disk = await fullDisk(t);
  if (disk === undefined) return;
  const directory = join(disk.path, "agent");
  const before = await openBuffer(t, directory);
  await putThousands(before, 1, 1_000);
  rmSync(join(directory, "buffer.spare"));
  disk.fill(0);
  for (let n = 1_001; n <= 5_000; n += 1) before.buffer.put(noisyTrade(n));
  await isRefused(before);
  const latest = before.buffer.latest("binance", "BTCUSDT");
  t.match(await stopError(before), /4000 ticks were in memory alone/);
  t.ok(before.lines.some(({ event }) => event === "reserveKept"));
  disk.free();
  const again = await openBuffer(t, directory);
  again.buffer.put(noisyTrade(5_001));
  const { holes, usedTwice, gaps } = judge([...(await deliverAllTold(again.buffer)), ...(latest ?? [])]);
  t.same([holes, usedTwice], [[], []]);
  t.match(gaps, [{ reason: "crash", count: null, fromSeq: 1_001 }]);
});

for (const hasSpare of [true, false]) {
  test(`a full disk does not keep the agent from starting with a damaged part, ${hasSpare ? "with" : "without"} room kept for it`, async (t) => {
    const disk = await fullDisk(t);
    if (disk === undefined) return;
    const directory = join(disk.path, "agent");
    const before = await openBuffer(t, directory);
    await putThousands(before, 1, 3_000);
    await before.stop();
    const db = new Database(join(directory, "buffer.db"));
    db.exec(
      "UPDATE chunk SET records = zeroblob(100) WHERE first = (SELECT min(first) FROM chunk WHERE first > 1)",
    );
    db.close();
    if (!hasSpare) rmSync(join(directory, "buffer.spare"));
    disk.fill(0);
    const { buffer, lines } = await openBuffer(t, directory);
    const failed = buffer.failed.catch(String);
    // Each is answered behind what is being read; the second of these finds the damage.
    for (let n = 0; n < 3; n += 1)
      await buffer.range({ venue: "binance", symbol: "BTCUSDT", fromSeq: 1, toSeq: 1 }, 1);
    t.equal(lines.filter(({ event }) => event === "chunkDamaged").length, hasSpare ? 1 : 0);
    disk.free();
    buffer.put(noisyTrade(3_001));
    await buffer.flush();
    const { holes, gaps, tradeIds } = judge(await deliverAllTold(buffer));
    t.same(holes, []);
    t.match(gaps, [{ reason: "corrupt", count: 3_001 - tradeIds.size }]);
    t.equal(await Promise.race([failed, Promise.resolve("runs")]), "runs");
  });
}
