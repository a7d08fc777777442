import { closeSync, existsSync, openSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { test } from "tap";
import { leftover } from "../../agent/src/buffer/leftover.ts";
import { temporaryDirectory } from "../support/broker.ts";
import {
  asVersion,
  deliverAll,
  deliverAllTold,
  openBuffer,
  putChunks,
  seqs,
  takeAll,
} from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { counting, noisyTrade, trade, tradeOf } from "./support.ts";

test("a part of the backlog that is damaged becomes a gap record with exactly its range", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory);
  await putChunks(before.buffer, 5_000);
  await before.stop();
  const db = new Database(join(directory, "buffer.db"));
  db.prepare(
    "UPDATE chunk SET records = CAST(substr(records, 1, 100) || zeroblob(50) || substr(records, 151) AS BLOB) WHERE first = 2001",
  ).run();
  db.close();

  const { buffer, lines } = await openBuffer(t, directory);
  const payloads = await deliverAllTold(buffer);
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

/** Damages the records of the chunk that begins with this position; with `both` also what is known of its gap records. */
function damageChunk(directory: string, first: number, both = false): void {
  const db = new Database(join(directory, "buffer.db"));
  const flipped = (column: string) =>
    `${column} = CAST(substr(${column}, 1, 20) || zeroblob(8) || substr(${column}, 29) AS BLOB)`;
  const damage = [flipped("records"), ...(both ? [flipped("gaps")] : [])].join(", ");
  const { changes } = db.prepare(`UPDATE chunk SET ${damage} WHERE first = ?`).run(first);
  db.close();
  if (changes !== 1) throw new Error(`there is no chunk ${first}`);
}

test("what the gap records of a damaged part told is told again, and none of it twice", async (t) => {
  const feed = {
    reason: "feed",
    count: 3,
    fromTradeId: "7",
    toTradeId: "9",
    fromTimeUs: 5,
    toTimeUs: 9,
  } as const;
  const told = { reason: "crash", count: null, fromSeq: 1, toSeq: 2 } as const;
  for (const unreadable of [false, true]) {
    const directory = await temporaryDirectory(t);
    const before = await openBuffer(t, directory);
    const of = { venue: "binance", symbol: "BTCUSDT" };
    for (const n of [1, 2, 3]) before.buffer.put(trade(n));
    await before.buffer.flush();
    before.buffer.put(trade(4));
    before.buffer.gap({ ...of, ...feed });
    before.buffer.gap({ ...of, ...told });
    await before.stop();
    damageChunk(directory, 4, unreadable);

    const { buffer } = await openBuffer(t, directory);
    const payloads = await deliverAllTold(buffer);
    const gaps = payloads.map((payload) => JSON.parse(payload)).filter(({ type }) => type === "gap");
    const found = gaps.map(({ type: _, agent: __, epoch: ___, seq: ____, ...missing }) => missing);
    const own = { reason: "corrupt", count: unreadable ? null : 3, fromSeq: 4, toSeq: 6 };
    t.same(
      found.toSorted((a, b) => a.reason.localeCompare(b.reason)),
      unreadable ? [own] : [own, told, feed],
    );
  }
});

test("damaged parts one behind the other are told of once each, also where nobody knows what they told", async (t) => {
  for (const unreadable of [false, true]) {
    const directory = await temporaryDirectory(t);
    const before = await openBuffer(t, directory);
    await putChunks(before.buffer, 14_000);
    await before.stop();
    const firsts = counting(2, 11).map((thousand) => thousand * 1_000 + 1);
    for (const first of firsts) damageChunk(directory, first, unreadable);
    const { buffer } = await openBuffer(t, directory);
    const { holes, gaps, tradeIds } = judge(await deliverAllTold(buffer));
    t.same(holes, []);
    const told = gaps.flatMap(({ fromSeq = 0, toSeq = -1 }) => counting(fromSeq, toSeq));
    t.same(told, counting(2_001, 12_000), "each number once");
    t.equal(tradeIds.size, 4_000);
    t.ok(gaps.every(({ count }) => (count === null) === unreadable));
  }
});

test("a database of version 2 is taken over; of a part that is damaged there nobody knows how much it told", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory);
  before.buffer.put(trade(1));
  await before.buffer.flush();
  before.buffer.put(trade(2));
  await before.stop();
  asVersion(2, directory);
  t.match(leftover(join(directory, "buffer.db")), { agent: "pi-7", ticks: 2 }, "doctor looks at it before");
  const again = await openBuffer(t, directory);
  t.same(seqs(await takeAll(again.buffer)), [1, 2]);
  await again.stop();
  damageChunk(directory, 1);
  const { buffer } = await openBuffer(t, directory);
  const taken = await takeAll(buffer);
  await buffer.flush();
  taken.push(...(await takeAll(buffer)));
  const records = taken.map(({ payload }) => JSON.parse(payload));
  t.match(records, [
    { seq: 2 },
    { type: "gap", reason: "corrupt", count: null, fromSeq: 1, toSeq: 1, seq: 3 },
  ]);
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
  payloads.push(...(await deliverAllTold(buffer)));
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

test("what can still be read of a database that was set aside at the start answers for its epoch", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory, { keepAcknowledgedMs: 2 ** 30 });
  const { epoch } = before.buffer;
  for (let n = 1; n <= 20_000; n += 1) {
    if (!before.buffer.put(noisyTrade(n))) await before.buffer.room();
    if (n % 1_000 === 0) await before.buffer.flush();
  }
  await before.stop();
  const path = join(directory, "buffer.db");
  const file = openSync(path, "r+");
  // A page of SQLite in the middle of the file, as a worn card returns it.
  const middle = Math.floor(statSync(path).size / 2 / 4_096) * 4_096;
  writeSync(file, Buffer.alloc(4_096, 0xa5), 0, 4_096, middle);
  closeSync(file);

  const { buffer, lines } = await openBuffer(t, directory);
  t.ok(lines.some(({ event }) => event === "bufferSetAside"));
  t.not(buffer.epoch, epoch);
  const [told] = (await deliverAll(buffer)).map((payload) => JSON.parse(payload));
  t.match(told, { type: "gap", reason: "corrupt", count: null, ofEpoch: epoch, epoch: buffer.epoch, seq: 1 });
  t.ok(told.toSeq >= 20_000);
  const wanted = { venue: "binance", symbol: "BTCUSDT", epoch, fromSeq: 1, toSeq: told.toSeq };
  const kept = (await buffer.range(wanted, 50_000)).map(tradeOf);
  t.ok(kept.length >= 15_000 && kept.length < 20_000, `${kept.length} of 20,000`);
  t.ok(kept.every((record) => record.epoch === epoch && Number(record.tradeId) === record.seq));
  t.ok(
    kept.every(({ seq }, index) => index === 0 || seq > (kept[index - 1]?.seq ?? 0)),
    "in order, each once",
  );
  t.equal((await buffer.range({ ...wanted, fromSeq: 501, toSeq: 510 }, 4)).length, 4);
  t.same(await buffer.range({ ...wanted, epoch: "00" }, 10), []);
  t.same(await buffer.range({ ...wanted, symbol: "X" }, 10), []);
  buffer.put(trade(1));
  await buffer.flush();
  const present = await buffer.range({ ...wanted, epoch: buffer.epoch }, 10);
  t.same(present.map(tradeOf).at(-1)?.epoch, buffer.epoch);
});

test("of the databases that were set aside the oldest go when they are too many or too large", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = (day: number): string => join(directory, `buffer.db.damaged-2026-01-0${day}T000000.000Z`);
  for (const day of [1, 2, 3, 4, 5]) writeFileSync(path(day), Buffer.alloc(1_000));
  for (const day of [1, 4]) writeFileSync(`${path(day)}-wal`, Buffer.alloc(500));
  const left = (): number[] => [1, 2, 3, 4, 5].filter((day) => existsSync(path(day)));
  const { buffer, lines, stop } = await openBuffer(t, directory, { setAsideFiles: 4, setAsideBytes: 2_500 });
  t.same(left(), [3, 4, 5], "1 for the number, 2 for the bytes of 2 to 4");
  t.notOk(existsSync(`${path(1)}-wal`));
  t.same(buffer.stats().setAside, { files: 3, bytes: 3_500, removed: 2 });
  t.equal(lines.filter(({ event }) => event === "setAsideRemoved").length, 2);
  await stop();
  const newestOnly = await openBuffer(t, directory, { setAsideBytes: 0 });
  t.same(left(), [5]);
  await newestOnly.stop();
  await openBuffer(t, directory, { setAsideFiles: 0 });
  t.same(left(), []);
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
