/** How far a stream had been read is known after every kind of end. */
import { closeSync, openSync, writeSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { asVersion, openBuffer, takeAll } from "./buffer-support.ts";
import { counting, trade } from "./support.ts";

const { exchangeTimeUs, receivedTimeUs } = trade(3);
const mark = { tradeId: "3", exchangeTimeUs, receivedTimeUs };

test("after a clean end it is the newest trade, and until when nothing else came", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, stop } = await openBuffer(t, directory);
  t.equal(buffer.marks.of("binance", "BTCUSDT"), undefined);
  for (const n of counting(1, 3)) buffer.put(trade(n));
  buffer.put(trade(7, "ETHUSDT"));
  await buffer.flush();
  buffer.marks.readUntil("binance", "BTCUSDT", receivedTimeUs + 9);
  buffer.marks.readUntil("binance", "UNHEARD", 1);
  await stop();
  const { buffer: next } = await openBuffer(t, directory);
  t.same(next.marks.of("binance", "BTCUSDT"), { ...mark, receivedTimeUs: receivedTimeUs + 9 });
  t.match(next.marks.of("binance", "ETHUSDT"), { tradeId: "7" });
  t.equal(next.marks.of("binance", "UNHEARD"), undefined);
});

test("after a power cut it is that of the last commit, and not certain, until there is another trade", async (t) => {
  const [directory, copy] = [await temporaryDirectory(t), await temporaryDirectory(t)];
  const { buffer } = await openBuffer(t, directory);
  for (const n of counting(1, 3)) buffer.put(trade(n));
  await buffer.flush();
  for (const file of ["buffer.db", "buffer.db-wal"]) await copyFile(join(directory, file), join(copy, file));
  const { buffer: next, stop } = await openBuffer(t, copy);
  t.same(next.marks.of("binance", "BTCUSDT"), { ...mark, uncertain: true });
  await stop();
  const { buffer: last } = await openBuffer(t, copy);
  t.match(last.marks.of("binance", "BTCUSDT"), { uncertain: true }, "a clean end makes it no more certain");
  last.put(trade(4));
  t.match(last.marks.of("binance", "BTCUSDT"), { tradeId: "4", uncertain: undefined });
});

test("it is taken over from a database that is set aside as damaged, and is not certain", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, stop } = await openBuffer(t, directory);
  for (const n of counting(1, 3)) buffer.put(trade(n));
  await stop();
  damageLosses(join(directory, "buffer.db"));
  const { buffer: next, lines } = await openBuffer(t, directory);
  t.ok(lines.some(({ event }) => event === "bufferSetAside"));
  t.same(next.marks.of("binance", "BTCUSDT"), { ...mark, uncertain: true });
});

test("a database of version 4 knows of none and is taken over", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, stop } = await openBuffer(t, directory);
  for (const n of counting(1, 3)) buffer.put(trade(n));
  await stop();
  asVersion(4, directory);
  const { buffer: next } = await openBuffer(t, directory);
  t.equal(next.marks.of("binance", "BTCUSDT"), undefined);
  t.equal((await takeAll(next)).length, 3);
});

/** Only this table cannot be read any more. */
function damageLosses(path: string): void {
  const db = new Database(path);
  const page = Number(db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'lost'").pluck().get());
  const size = Number(db.pragma("page_size", { simple: true }));
  db.close();
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size);
  closeSync(file);
}
