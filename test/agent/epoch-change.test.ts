/** What a new epoch says of the one before, and what a reader can know when it says nothing. */
import { closeSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@equipoise/shared";
import Database from "better-sqlite3";
import { type Test, test } from "tap";
import { beginDatabase } from "../../agent/src/buffer/beginning.ts";
import { createEpoch } from "../../agent/src/buffer/epoch.ts";
import { SetAside } from "../../agent/src/buffer/set-aside.ts";
import { Store } from "../../agent/src/buffer/store.ts";
import { GapDetector } from "../../shared/src/client/gaps.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { damageTables, deliverAll, emptyOf, openBuffer } from "./buffer-support.ts";
import { FakeClock, noisyTrade, trade, tradeOf, until } from "./support.ts";

const topic = "ticks/binance/BTCUSDT/pi-7";

/** Of a stream, five trades that are read, and 495 that only the buffer has. */
async function partlyRead(t: Test, directory: string, clock: FakeClock) {
  const before = await openBuffer(t, directory, { clock });
  const detector = new GapDetector();
  const read = (payloads: readonly string[]) =>
    payloads.flatMap((payload) => detector.observe(topic, tradeOf(payload)));
  for (let n = 1; n <= 5; n += 1) before.buffer.put(trade(n));
  t.same(read(await deliverAll(before.buffer)), []);
  for (let n = 6; n <= 500; n += 1) before.buffer.put(trade(n));
  await before.stop();
  return { epoch: before.buffer.epoch, read };
}

for (const tables of [["stream"], ["stream", "meta"]]) {
  const words = tables.join(" and ");
  test(`a new epoch, where ${words} of the database cannot be read, sorts behind the one before and names it`, async (t) => {
    const directory = await temporaryDirectory(t);
    const clock = new FakeClock();
    const { epoch, read } = await partlyRead(t, directory, clock);
    damageTables(directory, ...tables);
    clock.step(-3_600_000); // a device without a clock of its own comes up behind
    const next = await openBuffer(t, directory, { clock });
    next.buffer.put(trade(501));
    const payloads = await deliverAll(next.buffer);
    t.ok(next.buffer.epoch > epoch);
    t.match(payloads.map(tradeOf), [
      { type: "gap", reason: "corrupt", count: null, ofEpoch: epoch, seq: 1 },
      { type: "trade", seq: 2 },
    ]);
    t.match(read(payloads), [{ reason: "corrupt", epoch, count: null, fromSeq: 6 }]);
    await next.stop();
    const again = await openBuffer(t, directory, { clock });
    again.buffer.put(trade(502, "NEW"));
    const [first] = await deliverAll(again.buffer);
    t.match(first && tradeOf(first), { type: "gap", ofEpoch: epoch }, "nobody knows what this one had");
  });
}

test("where nothing can be read of a damaged database, every stream begins with a word of it", async (t) => {
  const directory = await temporaryDirectory(t);
  const clock = new FakeClock();
  const { epoch, read } = await partlyRead(t, directory, clock);
  writeFileSync(join(directory, "buffer.db"), Buffer.alloc(40_960, 0xa5));
  clock.step(1);
  const { buffer } = await openBuffer(t, directory, { clock });
  buffer.put(trade(501));
  const payloads = await deliverAll(buffer);
  const { ofEpoch, toSeq } = JSON.parse(payloads[0] ?? "");
  t.match(payloads.map(tradeOf), [{ type: "gap", reason: "corrupt", count: null, seq: 1 }, { seq: 2 }]);
  t.same([ofEpoch, toSeq], [undefined, undefined]);
  t.match(read(payloads), [{ reason: "corrupt" }, { reason: "epoch", epoch, fromSeq: 6 }]);
});

test("where nothing is left of the data directory, a reader finds that it cannot know what is missing", async (t) => {
  const clock = new FakeClock();
  const { epoch, read } = await partlyRead(t, await temporaryDirectory(t), clock);
  clock.step(-3_600_000);
  const next = await openBuffer(t, await temporaryDirectory(t), { clock });
  next.buffer.put(trade(501));
  t.match(read(await deliverAll(next.buffer)), [{ reason: "epoch", epoch, count: null, fromSeq: 6 }]);
});

const openStore = (directory: string): void => {
  const setAsideBounds = { maxFiles: 8, maxOlderBytes: 2 ** 30 };
  const store = new Store({
    directory,
    agentId: "pi-7",
    freshEpoch: createEpoch(systemClock, Math.random),
    wallMs: Date.now(),
    setAsideBounds,
  });
  store.open();
  store.close();
};

test("starts that are killed behind a damaged one, before their first commit, lose nothing of what is to be told", async (t) => {
  const directory = await temporaryDirectory(t);
  const { epoch, read } = await partlyRead(t, directory, new FakeClock());
  damageTables(directory, "lost");
  openStore(directory); // sets it aside
  openStore(directory);
  damageTables(directory, "signpost"); // and so is this one
  openStore(directory);
  const { buffer } = await openBuffer(t, directory);
  buffer.put(trade(501));
  const payloads = await deliverAll(buffer);
  t.match(tradeOf(payloads[0] ?? ""), { type: "gap", reason: "corrupt", ofEpoch: epoch, seq: 1 });
  t.match(read(payloads), [{ epoch, reason: "corrupt", count: null, fromSeq: 6, toSeq: 500 }]);
  t.equal(payloads.length, 2);
  await buffer.flush();
  t.same(await deliverAll(buffer), [], "it is told once");
});

test("a start that is killed between the damaged database and the new one is made up for by the next", async (t) => {
  const directory = await temporaryDirectory(t);
  const { epoch } = await partlyRead(t, directory, new FakeClock());
  damageTables(directory, "lost");
  openStore(directory);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(directory, `buffer.db${suffix}`), { force: true }); // as if it had not been begun
  const { buffer } = await openBuffer(t, directory);
  const [first] = await deliverAll(buffer);
  t.match(first && tradeOf(first), { type: "gap", reason: "corrupt", ofEpoch: epoch, seq: 1 });
  t.ok(buffer.epoch > epoch);
});

test("a database has its numbers and what is to be told from its first moment", async (t) => {
  const db = new Database(":memory:");
  t.teardown(() => db.close());
  const missing = { reason: "corrupt", count: null, toSeq: 500 } as const;
  const stream = { id: 1, venue: "binance", symbol: "BTCUSDT", seq: 500, reserved: 756 };
  const lost = { streamId: 1, fromSeq: 1, toSeq: 500, reason: "corrupt", missing } as const;
  const twice = { ...emptyOf("01J"), streams: [stream, { ...stream, id: 2 }], lost: [lost] };
  t.throws(() => beginDatabase(db, twice), "of what cannot be written as a whole");
  t.equal(db.pragma("user_version", { simple: true }), 0, "nothing is written");
  beginDatabase(db, { ...twice, streams: [stream] });
  t.match(db.prepare("SELECT seq, reserved FROM stream").all(), [{ seq: 500, reserved: 756 }]);
  t.match(db.prepare("SELECT reason FROM lost").all(), [{ reason: "corrupt" }]);
});

test("what can still be read of a database that was set aside while the agent ran is resent", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory);
  for (let n = 1; n <= 30_000; n += 1) if (!before.buffer.put(noisyTrade(n))) await before.buffer.room();
  await before.stop();
  const { buffer, lines } = await openBuffer(t, directory);
  await until(() => buffer.stats().oldestAgeMs !== null);
  const path = join(directory, "buffer.db");
  const file = openSync(path, "r+");
  const damage = Buffer.alloc(8 * 4_096, 0xa5);
  writeSync(file, damage, 0, damage.length, Math.floor(statSync(path).size / 2 / 4_096) * 4_096);
  closeSync(file);
  const wanted = { venue: "binance", symbol: "BTCUSDT", epoch: buffer.epoch, fromSeq: 1, toSeq: 30_000 };
  await buffer.range(wanted, 30_000);
  t.ok(lines.some(({ event }) => event === "bufferSetAside"));
  const kept = (await buffer.range(wanted, 30_000)).map((payload) => tradeOf(payload).seq);
  const readable = new SetAside(directory).range(wanted, 30_000).length;
  t.ok(kept.length >= readable && readable > 20_000, `${kept.length} of ${readable} that can be read`);
  t.ok(
    kept.every((seq, index) => index === 0 || seq > (kept[index - 1] ?? 0)),
    "in order, each once",
  );
  buffer.put(trade(30_001));
  const newest = await buffer.range({ ...wanted, toSeq: 40_000 }, 40_000);
  t.same(
    newest.map((payload) => tradeOf(payload).seq).filter((seq) => seq <= 30_000),
    kept,
  );
  t.match(tradeOf(newest.at(-1) ?? ""), { tradeId: "30001" });
  t.equal((await buffer.range({ ...wanted, fromSeq: 501 }, 4)).length, 4);
});
