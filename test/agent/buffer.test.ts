import { spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Trade } from "@equipoise/shared";
import Database from "better-sqlite3";
import { type Test, test } from "tap";
import { beginDatabase } from "../../agent/src/buffer/beginning.ts";
import { createEpoch, epochAfter } from "../../agent/src/buffer/epoch.ts";
import type { Commit } from "../../agent/src/buffer/protocol.ts";
import type { LastTrade } from "../../agent/src/buffer/queue.ts";
import { prepareStatements } from "../../agent/src/buffer/schema.ts";
import { Store } from "../../agent/src/buffer/store.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { commitOf } from "../support/buffer-commit.ts";
import { emptyOf, openBuffer as open, seqs, takeAll } from "./buffer-support.ts";
import { counting, FakeClock, noisyTrade, trade, tradeOf, until } from "./support.ts";

const recordOf = (tick: LastTrade): Trade => tradeOf(tick.payload);

test("each stream counts from 1 without holes, in the order of arrival", async (t) => {
  const { buffer } = await open(t, await temporaryDirectory(t));
  for (let n = 0; n < 300; n += 1) buffer.put(trade(n, n % 3 === 0 ? "ETHUSDT" : "BTCUSDT"));
  const ticks = await takeAll(buffer);
  t.same(
    ticks.map(({ position }) => position),
    counting(1, 300),
  );
  const of = (symbol: string) => ticks.filter(({ stream }) => stream.symbol === symbol);
  t.same(seqs(of("ETHUSDT")), counting(1, 100));
  t.same(seqs(of("BTCUSDT")), counting(1, 200));
  t.equal(ticks[0]?.stream.topic, "ticks/binance/ETHUSDT/pi-7");
  t.match(recordOf(ticks[1] as LastTrade), { ...trade(1), agent: "pi-7", epoch: buffer.epoch, seq: 1 });
});

test("a gap record takes a number in its stream, and is never its newest trade", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, stop } = await open(t, directory);
  const gap = { venue: "binance", symbol: "BTCUSDT", reason: "feed" as const, count: 2, fromTradeId: "2" };
  buffer.put(trade(1));
  buffer.gap(gap);
  buffer.gap({ ...gap, symbol: "ETHUSDT", count: null });
  buffer.put(trade(4));
  buffer.gap(gap);
  const ticks = await takeAll(buffer);
  t.same(
    ticks.map((tick) => [tick.stream.symbol, recordOf(tick).type, recordOf(tick).seq]),
    [
      ["BTCUSDT", "trade", 1],
      ["BTCUSDT", "gap", 2],
      ["ETHUSDT", "gap", 1],
      ["BTCUSDT", "trade", 3],
      ["BTCUSDT", "gap", 4],
    ],
  );
  const { epoch } = buffer;
  t.equal(
    ticks[1]?.payload,
    `{"type":"gap","reason":"feed","count":2,"fromTradeId":"2","agent":"pi-7","epoch":"${epoch}","seq":2}`,
  );
  t.same(
    buffer.takeNewest().map((tick) => recordOf(tick).tradeId),
    ["4"],
  );
  await stop();
  const again = await open(t, directory);
  t.match(
    (await takeAll(again.buffer)).map((tick) => recordOf(tick).seq),
    [1, 2, 1, 3, 4],
    "it is as durable as a trade",
  );
});

test("a tick can be taken as soon as its number is reserved, and waits for no commit of its own", async (t) => {
  const clock = new FakeClock();
  const { buffer } = await open(t, await temporaryDirectory(t), { clock, commitLatencyMs: 1_000 });
  const readable = new Promise<void>((resolve) => buffer.onReadable(resolve));
  buffer.put(trade(1));
  t.equal(buffer.take(), undefined, "no number of the stream is reserved yet");
  await readable;
  await until(() => buffer.take()?.position === 1);
  buffer.put(trade(2));
  t.equal(buffer.take()?.position, 2);
  t.equal(buffer.stats().safe, 1, "it is in memory alone");
  clock.advance(999);
  t.equal(buffer.stats().safe, 1);
  clock.advance(1);
  await until(() => buffer.stats().safe === 2);
});

test("a restart continues the epoch and its numbers, and gives what is not settled again", async (t) => {
  const directory = await temporaryDirectory(t);
  const first = await open(t, directory);
  for (let n = 1; n <= 10; n += 1) first.buffer.put(trade(n));
  await takeAll(first.buffer);
  first.buffer.settle(4);
  await first.stop();

  const second = await open(t, directory);
  t.equal(second.buffer.epoch, first.buffer.epoch);
  second.buffer.put(trade(11));
  t.same(seqs(await takeAll(second.buffer)), counting(5, 11));
  second.buffer.settle(11);
  await second.stop();

  const third = await open(t, directory);
  t.match(third.buffer.stats(), { ticks: 0 });
  third.buffer.put(trade(12));
  t.same(seqs(await takeAll(third.buffer)), [12], "also when nothing is left of the earlier ones");
});

test("a backlog larger than a page comes in order while more arrives", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await open(t, directory);
  for (let n = 1; n <= 7_000; n += 1) {
    if (!before.buffer.put(trade(n))) await before.buffer.room();
  }
  await before.stop();
  const { buffer } = await open(t, directory);
  const taken: number[] = [];
  for (let n = 7_001; n <= 9_000; n += 1) {
    if (!buffer.put(trade(n))) await buffer.room();
    const tick = n % 2 === 0 ? buffer.take() : undefined;
    if (tick !== undefined) taken.push(...seqs([tick]));
  }
  taken.push(...seqs(await takeAll(buffer)));
  t.same(taken, counting(1, 9_000));
});

async function openStore(t: Test): Promise<Store> {
  const store = new Store({
    directory: await temporaryDirectory(t),
    agentId: "pi-7",
    freshEpoch: "0E",
    setAsideBounds: { maxFiles: 8, maxOlderBytes: 0 },
    wallMs: 1,
  });
  t.teardown(() => store.close());
  store.open();
  return store;
}

const twoTicks = (): Commit =>
  commitOf({
    ...{ venue: "v", symbol: "S", first: 1, payloads: '{"a":1}\n{"b":2}\n', count: 2 },
    ...{ uptimeMs: 5, wallMs: 6, reserve: 8 },
  });

const storedTicks = () => ({ chunk: twoTicks().chunk, extent: [1, 2] });

test("every write is synchronous, and it is read back from the database", async (t) => {
  const store = await openStore(t);
  store.commit(twoTicks());
  t.equal(store.synchronous(), 2);
  t.same(store.read(1, "up"), storedTicks());
});

test("a commit counts what was acknowledged without looking at all that waits", (t) => {
  const db = new Database(":memory:");
  beginDatabase(db, emptyOf("0E"));
  const { source } = prepareStatements(db).chunksUpTo;
  const plan = db.prepare<[object], { detail: string }>(`EXPLAIN QUERY PLAN ${source}`);
  // With 5 GB waiting, each commit read 116 MB.
  t.match(plan.all({ after: 1, end: 2 }), [{ detail: /rowid>\? AND rowid<\?/ }]);
  t.end();
});

test("a commit that is tried again is there once", async (t) => {
  const store = await openStore(t);
  store.commit(twoTicks());
  store.commit(twoTicks());
  t.same(store.read(2, "down"), storedTicks());
  t.equal(store.read(3, "up"), undefined);
});

test("the newest trade of each stream is told once", async (t) => {
  const { buffer } = await open(t, await temporaryDirectory(t));
  for (const [n, symbol] of [
    [1, "A"],
    [2, "B"],
    [3, "A"],
  ] as const)
    buffer.put(trade(n, symbol));
  await buffer.flush();
  t.same(
    buffer.takeNewest().map((tick) => [tick.stream.lastTopic, recordOf(tick).tradeId]),
    [
      ["last/binance/A/pi-7", "3"],
      ["last/binance/B/pi-7", "2"],
    ],
  );
  t.same(buffer.takeNewest(), []);
});

test("at its bound the buffer makes the sources wait, and loses nothing", async (t) => {
  const { buffer, lines } = await open(t, await temporaryDirectory(t), { maxBytes: 2 ** 20 });
  const isFull = (): boolean => lines.some(({ event }) => event === "bufferFull");
  let put = 0;
  while (!isFull()) {
    put += 1;
    if (!buffer.put(noisyTrade(put))) await buffer.flush();
  }
  await buffer.flush();
  t.equal(lines.filter(({ event }) => event === "bufferFull").length, 1, "said once");
  let goesOn = false;
  const waiting = buffer.room().then(() => {
    goesOn = true;
  });
  await buffer.flush();
  t.notOk(goesOn);
  const taken: number[] = [];
  const early = Math.floor(put / 4);
  await until(() => {
    while (taken.length < early) {
      const tick = buffer.take();
      if (tick === undefined) return false;
      taken.push(...seqs([tick]));
    }
    return true;
  });
  buffer.settle(early);
  await waiting;
  t.equal(lines.filter(({ event }) => event === "bufferRoom").length, 1);
  t.same(taken.concat(seqs(await takeAll(buffer))), counting(1, put));
});

test("a stop ends the wait for room", async (t) => {
  const { buffer } = await open(t, await temporaryDirectory(t), { maxBytes: 1 });
  t.notOk(buffer.put(trade(1)));
  const waiting = buffer.room();
  buffer.endIntake();
  await t.resolves(waiting);
});

test("a damaged database is set aside and reported, and a new epoch begins behind the old one", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await open(t, directory);
  for (let n = 1; n <= 2_000; n += 1) before.buffer.put(trade(n));
  await before.stop();
  const path = join(directory, "buffer.db");
  const bytes = await readFile(path);
  await writeFile(path, bytes.fill(0xa5, 20_480, 24_576));

  const past = new FakeClock(); // 2023: set back behind the clock of the first start
  const { buffer, lines } = await open(t, directory, { clock: past });
  t.match(lines[0], { event: "bufferSetAside", code: "EQ_STORE_DAMAGED", path: /buffer\.db\.damaged-2023/ });
  t.ok(buffer.epoch > before.buffer.epoch);
  const aside = (await readdir(directory)).filter((name) => name.includes("damaged"));
  t.equal(aside.length, 1);
  t.equal((await readFile(join(directory, aside[0] ?? ""))).length, bytes.length, "kept as it was");
  buffer.put(trade(1));
  const flushed = buffer.flush();
  past.advance(10);
  await flushed;
  const [gap, next] = await takeAll(buffer);
  t.match(gap && recordOf(gap), { type: "gap", reason: "corrupt", count: null, toSeq: 2_000, seq: 1 });
  t.match(next && recordOf(next), { type: "trade", seq: 2 });
});

test("a file that is no database at all is set aside too", async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(
    join(directory, "buffer.db"),
    "certainly not SQLite, but long enough to be looked at".repeat(40),
  );
  const { lines, buffer } = await open(t, directory);
  t.match(lines[0], { code: "EQ_STORE_DAMAGED" });
  t.equal(buffer.stats().ticks, 0);
});

test("a database of a newer version is left alone", async (t) => {
  const directory = await temporaryDirectory(t);
  await (await open(t, directory)).stop();
  const db = new Database(join(directory, "buffer.db"));
  db.pragma("user_version = 99");
  db.close();
  await t.rejects(open(t, directory), { code: "EQ_STORE_NEWER", message: /version 99/ });
});

test("a data directory belongs to one process at a time", async (t) => {
  const directory = await temporaryDirectory(t);
  const { stop } = await open(t, directory);
  const lock = join(directory, "lock.db");
  const script = `
    const Database = require("better-sqlite3");
    new Database(${JSON.stringify(lock)}, { timeout: 0 }).exec("BEGIN EXCLUSIVE");`;
  const other = () =>
    spawnSync(process.execPath, ["-e", script], { encoding: "utf8", env: { PATH: process.env.PATH } });
  t.match(other().stderr, /SQLITE_BUSY|database is locked/);
  await t.rejects(open(t, directory), { code: "EQ_DATA_DIR_BUSY", message: new RegExp(directory) });
  await stop();
  t.equal(other().status, 0, "and to the next one afterwards");
});

test("a data directory that cannot be one is refused", async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, "file"), "");
  await t.rejects(open(t, join(directory, "file", "data")), { code: "EQ_DATA_DIR_UNUSABLE" });
  await mkdir(join(directory, "data", "buffer.db"), { recursive: true });
  await t.rejects(open(t, join(directory, "data")), { code: "EQ_DATA_DIR_UNUSABLE", message: /buffer\.db/ });
});

test("another agent id is refused while ticks are left, and begins a new epoch when none are", async (t) => {
  const directory = await temporaryDirectory(t);
  const first = await open(t, directory);
  first.buffer.put(trade(1));
  await first.stop();
  await t.rejects(open(t, directory, { agentId: "pi-8" }), {
    code: "EQ_AGENT_ID_CHANGED",
    message: /1 ticks.*pi-7/,
  });
  const again = await open(t, directory);
  again.buffer.settle((await takeAll(again.buffer)).length);
  await again.stop();
  const other = await open(t, directory, { agentId: "pi-8" });
  t.ok(other.buffer.epoch > first.buffer.epoch);
  other.buffer.put(trade(2));
  const [tick] = await takeAll(other.buffer);
  t.match(tick && recordOf(tick), { agent: "pi-8", seq: 1 });
});

test("a trade whose stream cannot exist is refused and takes no number", async (t) => {
  const { buffer } = await open(t, await temporaryDirectory(t));
  t.throws(() => buffer.put(trade(1, "\ud800")), { code: "EQ_TOPIC_INVALID" });
  t.throws(() => buffer.put(trade(1, "\u0001".repeat(128) + "#".repeat(300))), { code: "EQ_TOPIC_INVALID" });
  buffer.put(trade(2));
  t.same(seqs(await takeAll(buffer)), [1]);
});

test("epochs sort by time, and behind the one before when the clock was set back", async (t) => {
  const clock = new FakeClock();
  const first = createEpoch(clock, () => 0.999);
  t.match(first, /^01[0-9A-HJKMNP-TV-Z]{24}$/);
  clock.advance(1);
  const second = createEpoch(clock, () => 0);
  t.ok(second > first);
  t.equal(epochAfter(first, second), second);
  const behind = epochAfter(second, first);
  t.ok(behind > second);
  t.equal(behind.slice(10), first.slice(10), "with a randomness of its own");
});
