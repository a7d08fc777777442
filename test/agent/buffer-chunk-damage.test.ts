/** Parts of the database whose own numbers are damaged, or which were acknowledged in part. */
import { join } from "node:path";
import Database from "better-sqlite3";
import { type Test, test } from "tap";
import type { BufferOptions } from "../../agent/src/buffer/options.ts";
import type { BufferedTick } from "../../agent/src/buffer/queue.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { deliverAllTold, openBuffer, putChunks, takeAll } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { FakeClock, trade } from "./support.ts";

type Column = "ranges" | "records";

function damage(directory: string, first: number, ...columns: Column[]): void {
  const db = new Database(join(directory, "buffer.db"));
  const damaged = columns.map((column) => `${column} = CAST(x'a5a5a5a5' || substr(${column}, 5) AS BLOB)`);
  const { changes } = db.prepare(`UPDATE chunk SET ${damaged} WHERE first = ?`).run(first);
  db.close();
  if (changes !== 1) throw new Error(`there is no chunk ${first}`);
}

/** Opens a buffer of 8,000 ticks, after the chunk of those from 4,001 was damaged. */
async function openDamaged(t: Test, columns: Column[], options: Partial<BufferOptions>) {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory, options);
  await putChunks(before.buffer, 8_000);
  await before.stop();
  damage(directory, 4_001, ...columns);
  return await openBuffer(t, directory, options);
}

test("a part whose numbers are damaged is delivered by the numbers of its records", async (t) => {
  const { buffer } = await openDamaged(t, ["ranges"], {});
  const { holes, gaps, tradeIds } = judge(await deliverAllTold(buffer));
  t.same([holes, gaps, tradeIds.size], [[], [], 8_000]);
  t.equal(buffer.stats().lost, 0);
});

for (const columns of [["ranges"], ["ranges", "records"]] satisfies Column[][]) {
  test(`a part that is too old and whose ${columns.join(" and ")} are damaged is not given up without a word`, async (t) => {
    const clock = new FakeClock();
    const { buffer, lines } = await openDamaged(t, columns, { clock, maxAgeMs: 60_000 });
    clock.advance(61_000);
    const payloads: string[] = [];
    for (let n = 9_000; n < 9_006; n += 1) {
      buffer.put(trade(n));
      await buffer.flush();
      clock.advance(6_000);
    }
    payloads.push(...(await deliverAllTold(buffer)));
    const { holes, gaps } = judge(payloads);
    t.same(holes, []);
    const isUnknown = columns.length === 2;
    t.equal(
      gaps.some(({ reason }) => reason === "corrupt"),
      isUnknown,
    );
    t.equal(lines.filter(({ event }) => event === "bufferSetAside").length, isUnknown ? 1 : 0);
  });
}

test("of a part that was acknowledged before it was damaged only the rest is told as lost", async (t) => {
  for (const symbols of [["A"], ["A", "B"]]) {
    const directory = await temporaryDirectory(t);
    const before = await openBuffer(t, directory, { commitLatencyMs: 10_000 });
    for (const symbol of symbols) before.buffer.put(trade(1, symbol));
    await before.buffer.flush(); // the first of a stream has a commit of its own
    for (let n = 0; n < 1_000; n += 1) before.buffer.put(trade(n, symbols[n % symbols.length]));
    await before.buffer.flush();
    const delivered = new Map<string, string[]>(symbols.map((symbol) => [symbol, []]));
    const deliver = ({ stream, payload }: BufferedTick) => delivered.get(stream.symbol)?.push(payload);
    for (let count = 0; count < 900 + symbols.length; count += 1) {
      const tick = before.buffer.take();
      if (tick === undefined) throw new Error("all were put");
      deliver(tick);
      before.buffer.settle(tick.position);
    }
    await before.stop();
    damage(directory, symbols.length + 1, "records");
    const { buffer } = await openBuffer(t, directory);
    for (const _ of [1, 2]) for (const tick of await takeAll(buffer)) deliver(tick);
    const found = [...delivered.values()].map(judge);
    for (const { holes } of found) t.same(holes, []);
    const missing = found.flatMap(({ gaps }) =>
      gaps.map(({ count, fromSeq, toSeq }) => [count, fromSeq, toSeq]),
    );
    if (symbols.length === 1) t.same(missing, [[100, 902, 1_001]], "exactly");
    else
      t.same(
        missing,
        [
          [null, 2, 501],
          [null, 2, 501],
        ],
        "nobody knows whose the acknowledged positions were",
      );
  }
});
