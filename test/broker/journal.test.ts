import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@equipoise/shared";
import Database from "better-sqlite3";
import { type Test, test } from "tap";
import { encodePublish } from "../../broker/src/journal/chunk.ts";
import type { Journal } from "../../broker/src/journal/journal.ts";
import { MemoryJournal } from "../../broker/src/journal/memory.ts";
import { SqliteJournal } from "../../broker/src/journal/sqlite.ts";
import { SqliteStore } from "../../broker/src/journal/sqlite-store.ts";
import { Backlog } from "../../broker/src/pool/backlog.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { seededRandom } from "../support/random.ts";
import {
  append,
  type Bench,
  journalConformance,
  makeChunk,
  textsOf,
  wholeSlice,
} from "./journal-conformance.ts";

function sqliteAt(path: string, setAside: string[] = []): Journal {
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
  const none = { queues: [], updates: [], finished: [], unowned: [], retained: [], sessions: [] };
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

test("what a queue was owed when it ended does not come to another queue after a crash", async (t) => {
  const bench = await sqliteBench(t);
  await (await started(bench)).stop();
  const db = new Database(bench.path);
  const frame = encodePublish("t", Buffer.from("alice's"), { qos: 1, retain: false });
  db.prepare("INSERT INTO chunk VALUES (1, 1, ?)").run(frame);
  db.prepare("INSERT INTO owed (chunk, queue, part, qos_cap, unsettled) VALUES (1, 1, 0, 2, NULL)").run();
  db.close();
  const journal = await started(bench);
  journal.openQueue("mallory", "t");
  await new Promise((done) => journal.flush(done));
  await journal.stop();
  const again = bench.open();
  t.same(await textsOf(again, await again.start()), { "mallory t": [] });
  await again.stop();
});

async function started(bench: Bench): Promise<Journal> {
  const journal = bench.open();
  await journal.start();
  return journal;
}

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

test("wherever a power cut tears the write-ahead log, what comes back is a beginning of what was committed", async (t) => {
  const bench = await sqliteBench(t);
  const journal = bench.open();
  await journal.start();
  const queue = journal.openQueue("p", "t");
  for (let number = 0; number < 30; number++) {
    const chunk = makeChunk(journal, [`m${number}`]);
    await append(journal, chunk, [{ queue, slice: wholeSlice(chunk) }]);
  }
  const directory = join(bench.path, "..");
  const log = readFileSync(`${bench.path}-wal`);
  const file = readFileSync(bench.path);
  await journal.stop();
  const random = seededRandom(7);
  for (let cut = 0; cut < 25; cut++) {
    const copy = join(directory, `cut-${cut}`);
    mkdirSync(copy);
    writeFileSync(join(copy, "journal.db"), file);
    const torn = Buffer.from(log.subarray(0, Math.floor(random() * log.length)));
    // Every other time the last sector is not cut off but garbage.
    if (cut % 2 === 1) torn.fill(0xa5, Math.max(0, torn.length - 512));
    writeFileSync(join(copy, "journal.db-wal"), torn);
    const after = sqliteAt(join(copy, "journal.db"));
    const texts = (await textsOf(after, await after.start()))["p t"] ?? [];
    t.same(
      texts,
      texts.map((_, number) => `m${number}`),
      `${texts.length} of 30 after ${torn.length} bytes`,
    );
    await after.stop();
  }
});

test("a damaged page of a large journal costs its messages, is said, and stops nobody", async (t) => {
  const bench = await sqliteBench(t);
  const journal = bench.open();
  await journal.start();
  const queue = journal.openQueue("p", "t");
  const texts = Array.from({ length: 20 }, (_, number) => `m${number} `.padEnd(9_000, "x"));
  for (const text of texts) {
    const chunk = makeChunk(journal, [text]);
    await append(journal, chunk, [{ queue, slice: wholeSlice(chunk) }]);
  }
  await journal.stop();
  const again = bench.open();
  const { queues } = await again.start();
  const damaged = queues[0]?.slices.map(({ chunk }) => chunk.id)[10] as number;
  const failures: string[] = [];
  let wake = (): void => {};
  const backlog = new Backlog({
    limits: { maxBytes: 2 ** 30, maxHotBytes: 50_000 },
    journal: { ...bound(again), read: withoutChunk(again, damaged) },
    queue,
    onReady: () => wake(),
    onReadFailed: (error) => failures.push(error.message),
  });
  for (const slice of queues[0]?.slices ?? []) backlog.push(slice);
  const got: string[] = [];
  while (got.length < 19) {
    const loaded = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const delivery = backlog.take();
    if (delivery === undefined) {
      await loaded;
      continue;
    }
    got.push(delivery.payload.toString());
    backlog.settle(delivery);
  }
  t.same(got, texts.toSpliced(10, 1));
  t.same(failures, [`1 messages of chunk ${damaged}`]);
  await again.stop();
});

/** The journal's methods as an object, so that one can be replaced. */
function bound(journal: Journal): Journal {
  return {
    durable: true,
    start: () => journal.start(),
    nextId: () => journal.nextId(),
    openQueue: (pool, filter) => journal.openQueue(pool, filter),
    closeQueue: (id) => journal.closeQueue(id),
    append: (chunk, owed, done) => journal.append(chunk, owed, done),
    attempted: () => {},
    settled: (id, slice) => journal.settled(id, slice),
    read: (chunks, done) => journal.read(chunks, done),
    retain: (topic, frame) => journal.retain(topic, frame),
    keepSession: (clientId, subscriptions) => journal.keepSession(clientId, subscriptions),
    flush: (done) => journal.flush(done),
    stats: () => journal.stats(),
    stop: () => journal.stop(),
  };
}

/** What the store answers for a chunk whose pages are damaged: nothing. */
function withoutChunk(journal: Journal, id: number): Journal["read"] {
  return (chunks, done) =>
    journal.read(
      chunks.filter((chunk) => chunk.id !== id),
      done,
    );
}
