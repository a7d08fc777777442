import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { deliverAll, openBuffer, seqs, takeAll } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { counting, noisyTrade, trade, tradeOf } from "./support.ts";

test("a part of the backlog that is damaged becomes a gap record with exactly its range", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory);
  for (let n = 1; n <= 5_000; n += 1) {
    before.buffer.put(trade(n));
    if (n % 1_000 === 0) await before.buffer.flush();
  }
  await before.stop();
  const db = new Database(join(directory, "buffer.db"));
  db.prepare(
    "UPDATE chunk SET records = CAST(substr(records, 1, 100) || zeroblob(50) || substr(records, 151) AS BLOB) WHERE first = 2001",
  ).run();
  db.close();

  const { buffer, lines } = await openBuffer(t, directory);
  const payloads = await deliverAll(buffer);
  await buffer.flush();
  payloads.push(...(await deliverAll(buffer)));
  const { holes, gaps, tradeIds } = judge(payloads);
  t.same(holes, []);
  t.match(gaps, [{ reason: "corrupt", count: 1_000, fromSeq: 2_001, toSeq: 3_000 }]);
  t.equal(tradeIds.size, 4_000);
  t.match(buffer.stats(), { lost: 1_000, ticks: 0 });
  t.match(
    lines.find(({ event }) => event === "chunkDamaged"),
    { code: "EQ_STORE_DAMAGED" },
  );
});

test("a database that is damaged while the agent runs is set aside; the epoch goes on and the loss is told of", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, lines, stop } = await openBuffer(t, directory);
  for (let n = 1; n <= 60_000; n += 1) if (!buffer.put(noisyTrade(n))) await buffer.room();
  await buffer.flush();
  for (const name of ["buffer.db", "buffer.db-wal"]) {
    const path = join(directory, name);
    const file = openSync(path, "r+");
    writeSync(file, Buffer.alloc(statSync(path).size, 0xa5));
    closeSync(file);
  }
  const { epoch } = buffer;
  const payloads = await deliverAll(buffer);
  for (let n = 60_001; n <= 60_010; n += 1) buffer.put(trade(n));
  payloads.push(...(await deliverAll(buffer)));
  await buffer.flush();
  payloads.push(...(await deliverAll(buffer)));
  const { holes, usedTwice, gaps, tradeIds } = judge(payloads);
  t.same([holes, usedTwice], [[], []]);
  t.match(gaps, [{ reason: "corrupt", count: null }]);
  t.ok(tradeIds.size < 60_010 && tradeIds.has("60010"), `${tradeIds.size}`);
  t.equal(lines.filter(({ event }) => event === "bufferSetAside").length, 1);
  t.equal(buffer.epoch, epoch);
  await stop();
  const again = await openBuffer(t, directory);
  t.equal(again.buffer.epoch, epoch, "the new database holds it");
  again.buffer.put(trade(1));
  const [next] = await takeAll(again.buffer);
  t.ok(next !== undefined && tradeOf(next.payload).seq > 60_010);
});

test("a database of version 1 is taken over with its epoch, numbers and ticks", async (t) => {
  const directory = await temporaryDirectory(t);
  const old = new Database(join(directory, "buffer.db"));
  old.exec(`
    CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, agent TEXT NOT NULL) STRICT;
    CREATE TABLE stream (
      id INTEGER PRIMARY KEY, venue TEXT NOT NULL, symbol TEXT NOT NULL, seq INTEGER NOT NULL, UNIQUE (venue, symbol)
    ) STRICT;
    CREATE TABLE tick (
      position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, time_ms INTEGER NOT NULL, payload TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 1;
    INSERT INTO meta VALUES (1, '01J00000000000000000000000', 'pi-7');
    INSERT INTO stream VALUES (1, 'binance', 'BTCUSDT', 3007)`);
  const insert = old.prepare("INSERT INTO tick VALUES (?, 1, 5, ?)");
  old.transaction(() => {
    const place = { type: "trade", agent: "pi-7", epoch: "01J00000000000000000000000" };
    for (const n of counting(8, 3_007)) insert.run(n + 93, JSON.stringify({ ...place, ...trade(n), seq: n }));
  })();
  old.close();
  const { buffer } = await openBuffer(t, directory);
  buffer.put(trade(3_008));
  t.same(seqs(await takeAll(buffer)), counting(8, 3_008));
  t.equal(buffer.epoch, "01J00000000000000000000000");
});
