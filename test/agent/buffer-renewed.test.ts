/**
 * Regression: positions that no chunk has, left by a database that was set aside while ticks were in flight, ended every
 * later start with "the tick 1 is neither in the buffer nor given up".
 */
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { deliverAllTold, openBuffer, putChunks } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { counting, noisyTrade, trade, tradeOf, until } from "./support.ts";

function wreck(directory: string): void {
  for (const name of ["buffer.db", "buffer.db-wal"]) {
    const path = join(directory, name);
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(statSync(path).size, 0xa5));
    closeSync(file);
  }
}

test("what is in flight and what was read ahead when the database turns out to be damaged is there after a restart", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, lines, stop } = await openBuffer(t, directory);
  for (let n = 1; n <= 60_000; n += 1) if (!buffer.put(noisyTrade(n))) await buffer.room();
  await buffer.flush();
  const taken: string[] = [];
  await until(() => {
    for (let tick = buffer.take(); tick !== undefined; tick = buffer.take()) {
      taken.push(tick.payload);
      if (taken.length === 10) buffer.settle(tick.position);
      if (taken.length === 50) return true;
    }
    return false;
  });
  wreck(directory);
  await buffer.range({ venue: "binance", symbol: "BTCUSDT", fromSeq: 1, toSeq: 60_000 }, 60_000);
  buffer.put(trade(60_001));
  await buffer.flush();
  t.equal(lines.filter(({ event }) => event === "bufferSetAside").length, 1);
  const { lost } = buffer.stats();
  await stop();
  const restarted = await openBuffer(t, directory);
  const after = await deliverAllTold(restarted.buffer);
  const { holes, usedTwice, gaps, tradeIds } = judge([...taken, ...after]);
  t.same([holes, usedTwice], [[], []]);
  t.equal(tradeIds.size + lost, 60_001, `${lost} were only in the damaged database`);
  t.match(gaps, [{ reason: "corrupt", count: null, toSeq: 60_000 }]);
  const came = judge(after).tradeIds;
  const again = taken.map((payload) => came.has(tradeOf(payload).tradeId ?? ""));
  t.same(
    again,
    [...Array(10).fill(false), ...Array(40).fill(true)],
    "those in flight, and none that was settled",
  );
});

for (const drain of ["oldestFirst", "newestFirst"] as const) {
  test(`a file that lacks chunks starts, and what was in them is told of as far as it is known; ${drain}`, async (t) => {
    const directory = await temporaryDirectory(t);
    const before = await openBuffer(t, directory);
    before.buffer.put(trade(1, "ETHUSDT"));
    await before.buffer.flush();
    await putChunks(before.buffer, 5_000);
    await before.stop();
    const db = new Database(join(directory, "buffer.db"));
    const chunks = db.prepare("SELECT first FROM chunk ORDER BY first").pluck().all() as number[];
    const gone = db.prepare("DELETE FROM chunk WHERE first >= 1002 AND first < 3002");
    t.equal(gone.run().changes, chunks.filter((first) => first >= 1_002 && first < 3_002).length);
    db.prepare("UPDATE meta SET done = '[0,0,5010,5020]'").run();
    db.close();
    const { buffer, stop } = await openBuffer(t, directory, { drain });
    const records = (await deliverAllTold(buffer)).map((payload) => JSON.parse(payload));
    const bitcoin = records.filter(({ symbol, type }) => symbol === "BTCUSDT" && type === "trade");
    t.same(
      bitcoin.map(({ seq }) => seq).sort((a, b) => a - b),
      [...counting(1, 1_000), ...counting(3_001, 5_000)],
    );
    const told = records.filter(({ type }) => type === "gap");
    t.match(told, [{ seq: 5_001, reason: "corrupt", count: null, fromSeq: 1_001, toSeq: 3_000 }]);
    t.match(buffer.stats(), { ticks: 0, lost: 2_008 }, "with what the end of the file claims to have had");
    await stop();
    const again = await openBuffer(t, directory, { drain });
    t.same(await deliverAllTold(again.buffer), [], "told of once");
  });
}
