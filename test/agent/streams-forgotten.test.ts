/** Regression: an agent that had ever had 10,000 symbols took no more, so dated contracts came to an end. */
import { decodePayload } from "@equipoise/shared";
import { test } from "tap";
import type { SqliteBuffer } from "../../agent/src/buffer/sqlite-buffer.ts";
import { GapDetector } from "../../shared/src/client/gaps.ts";
import type { MissingTicks } from "../../shared/src/client/missing.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { openBuffer, takeAll } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { trade } from "./support.ts";

/** An exclusive reader of all streams. */
function reader() {
  const byTopic = new Map<string, string[]>();
  const missing: MissingTicks[] = [];
  const detector = new GapDetector(100_000);
  const read = async (buffer: SqliteBuffer): Promise<void> => {
    const ticks = await takeAll(buffer);
    for (const { payload, stream } of ticks) {
      byTopic.set(stream.topic, [...(byTopic.get(stream.topic) ?? []), payload]);
      for (const record of decodePayload(Buffer.from(payload)))
        missing.push(...detector.observe(stream.topic, record));
    }
    const last = ticks.at(-1);
    if (last !== undefined) buffer.settle(last.position);
    await buffer.flush();
  };
  return { read, byTopic, missing };
}

async function trades(buffer: SqliteBuffer, symbols: readonly string[]): Promise<void> {
  for (const symbol of symbols) if (!buffer.put(trade(1, symbol))) await buffer.room();
}

const dated = (day: number, count: number): string[] =>
  Array.from({ length: count }, (_, strike) => `BTC-D${day}-${strike}`);

test("contracts of any number of days are taken; one that comes again uses no number again and lacks none", async (t) => {
  const directory = await temporaryDirectory(t);
  const { read, byTopic, missing } = reader();
  let { buffer, stop } = await openBuffer(t, directory);
  for (let day = 1; day <= 9; day += 1) {
    await trades(buffer, [...dated(day, 2_000), "BTCUSDT", "BTCUSDT"]);
    await read(buffer);
    if (day !== 6) continue;
    await stop();
    ({ buffer, stop } = await openBuffer(t, directory));
  }
  await trades(buffer, [...dated(1, 2_000), "BTCUSDT"]);
  await read(buffer);
  t.equal(byTopic.size, 18_001);
  for (const [topic, payloads] of byTopic) {
    const { holes, usedTwice, gaps } = judge(payloads);
    const isWell = holes.length + usedTwice.length === 0 && gaps.every(({ count }) => count === 0);
    if (!isWell) t.fail(`${topic}: ${payloads.join()}`);
  }
  t.same(missing, [], "a reader is told of nothing that is missing");
  const again = byTopic.get("ticks/binance/BTC-D1-0/pi-7") ?? [];
  t.match(
    again.map((payload) => JSON.parse(payload)),
    [
      { type: "trade", seq: 1 },
      { type: "gap", count: 0, fromSeq: 1 },
      { type: "trade", tradeId: "1" },
    ],
  );
  t.equal(byTopic.get("ticks/binance/BTCUSDT/pi-7")?.length, 19, "one that is not silent is not forgotten");
});

test("a stream with ticks that wait or can be asked for again is not forgotten", async (t) => {
  for (const keepAcknowledgedMs of [0, 2 ** 30]) {
    const { buffer } = await openBuffer(t, await temporaryDirectory(t), { keepAcknowledgedMs });
    await trades(buffer, dated(1, 10_000));
    if (keepAcknowledgedMs > 0) await reader().read(buffer);
    await buffer.flush();
    t.throws(() => buffer.put(trade(1, "ONEMORE")), { code: "EQ_LIMIT_REACHED" });
    t.equal(buffer.streams().length, 10_000);
  }
});
