import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@equipoise/shared";
import Database from "better-sqlite3";
import { type Test, test } from "tap";
import { encodePublish } from "../../broker/src/journal/chunk.ts";
import { MemoryJournal } from "../../broker/src/journal/memory.ts";
import { SqliteJournal } from "../../broker/src/journal/sqlite.ts";
import { SqliteStore } from "../../broker/src/journal/sqlite-store.ts";
import { temporaryDirectory } from "../support/broker.ts";
import {
  append,
  type Bench,
  journalConformance,
  makeChunk,
  textsOf,
  wholeSlice,
} from "./journal-conformance.ts";

function sqliteAt(path: string, setAside: string[] = []): SqliteJournal {
  return new SqliteJournal({ path, clock: systemClock, onSetAside: (where) => setAside.push(where) });
}

async function sqliteBench(t: Test): Promise<Bench & { path: string; setAside: string[] }> {
  const path = join(await temporaryDirectory(t), "journal.db");
  const setAside: string[] = [];
  return { durable: true, path, setAside, open: () => sqliteAt(path, setAside) };
}

test("the memory journal", async (t) => {
  journalConformance(t, async () => {
    const journal = new MemoryJournal();
    return { durable: false, open: () => journal };
  });
});

test("the SQLite journal", async (t) => {
  journalConformance(t, sqliteBench);
});

test("the SQLite journal commits with synchronous=FULL, also after many writes", async (t) => {
  const store = new SqliteStore(join(await temporaryDirectory(t), "journal.db"));
  store.open("now");
  const none = { opened: [], closed: [], updates: [], finished: [], unowned: [], retained: [], sessions: [] };
  for (let id = 0; id < 5; id++)
    store.commit({ ...none, appends: [{ id, count: 1, bytes: Buffer.from("x"), owed: [] }] });
  t.equal(store.synchronousLevel(), 2);
  store.close();
});

test("a journal file that is no database is set aside, and a new one is begun", async (t) => {
  const bench = await sqliteBench(t);
  writeFileSync(bench.path, "these are not the pages of a database, not even the first one of them");
  const journal = bench.open();
  t.same((await journal.start()).queues, []);
  t.equal(bench.setAside.length, 1);
  const chunk = makeChunk(journal, ["m0"]);
  await append(journal, chunk, [{ queue: journal.openQueue("p", "t"), slice: wholeSlice(chunk) }]);
  await journal.stop();
  t.ok(
    readdirSync(join(bench.path, "..")).some((name) => name.includes("damaged")),
    "the old bytes are kept",
  );
});

test("a journal of schema 1 is brought up to date with everything in it", async (t) => {
  const bench = await sqliteBench(t);
  const old = new Database(bench.path);
  old.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE queue (id INTEGER PRIMARY KEY, pool TEXT NOT NULL, filter TEXT NOT NULL, UNIQUE (pool, filter)) STRICT;
    CREATE TABLE chunk (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, frames BLOB NOT NULL) STRICT;
    CREATE TABLE owed (chunk INTEGER NOT NULL, queue INTEGER NOT NULL, unsettled BLOB,
      PRIMARY KEY (chunk, queue)) STRICT, WITHOUT ROWID;
    INSERT INTO queue VALUES (1, 'p', 't');
    INSERT INTO owed VALUES (7, 1, NULL);
    PRAGMA user_version = 1;
  `);
  const frame = encodePublish("t", Buffer.from("from before"), { qos: 1, retain: false });
  old.prepare("INSERT INTO chunk VALUES (7, 1, ?)").run(frame);
  old.close();
  const journal = bench.open();
  t.same(await textsOf(journal, await journal.start()), { "p t": ["from before"] });
  await journal.stop();
});

test("a journal of a newer version is left alone and refused by name", async (t) => {
  const bench = await sqliteBench(t);
  const newer = new Database(bench.path);
  newer.pragma("user_version = 999");
  newer.close();
  await t.rejects(bench.open().start(), { code: "EQ_STORE_NEWER" });
  const same = new Database(bench.path);
  t.equal(same.pragma("user_version", { simple: true }), 999);
  same.close();
});

test("a second journal on the same directory is refused by name while the first runs", async (t) => {
  const bench = await sqliteBench(t);
  const first = bench.open();
  await first.start();
  const second = bench.open();
  await t.rejects(second.start(), { code: "EQ_DATA_DIR_BUSY" });
  await first.stop();
  const third = bench.open();
  await third.start();
  await third.stop();
});

test("a directory that cannot be made is refused by name", async (t) => {
  const directory = await temporaryDirectory(t);
  writeFileSync(join(directory, "file"), "");
  const journal = sqliteAt(join(directory, "file", "below", "journal.db"));
  await t.rejects(journal.start(), { code: "EQ_DATA_DIR_UNUSABLE" });
});

test("the files as they are right after a commit hold what was committed, without a clean close", async (t) => {
  const bench = await sqliteBench(t);
  const journal = bench.open();
  await journal.start();
  const chunk = makeChunk(journal, ["m0", "m1"]);
  await append(journal, chunk, [{ queue: journal.openQueue("p", "t"), slice: wholeSlice(chunk) }]);
  // What a power cut leaves: the files of this moment, the WAL not checkpointed.
  const copy = join(await temporaryDirectory(t), "cut");
  mkdirSync(copy);
  for (const name of readdirSync(join(bench.path, "..")))
    copyFileSync(join(bench.path, "..", name), join(copy, name));
  await journal.stop();
  const after = sqliteAt(join(copy, "journal.db"));
  t.same(await textsOf(after, await after.start()), { "p t": ["m0", "m1"] });
  await after.stop();
});
