/** Regression: what a lost gap record had told was gone with it where it had no numbers of its own. */
import type { Gap } from "@equipoise/shared";
import { test } from "tap";
import { maxDetails } from "../../agent/src/buffer/retold.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { asVersion, deliverAll, deliverAllTold, openBuffer } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { FakeClock, noisyTrade } from "./support.ts";

const of = { venue: "binance", symbol: "BTCUSDT" };

/** What the venue has sent: every tenth id never came, and the source told so. */
async function overfill(t: Parameters<typeof openBuffer>[0], whenFull: "dropOldest" | "dropNewest") {
  const options = { clock: new FakeClock(), maxBytes: 2 ** 20, whenFull }; // a pause would end a run of losses
  const { buffer } = await openBuffer(t, await temporaryDirectory(t), options);
  for (let id = 1; id <= 20_000; id += 1) {
    const ids = { fromTradeId: `${id}`, toTradeId: `${id}` };
    if (id % 10 === 0) buffer.gap({ ...of, reason: "feed", count: 1, ...ids });
    else buffer.put(noisyTrade(id));
    if (id % 512 === 0) await buffer.flush();
  }
  return judge(await deliverAllTold(buffer));
}

const countOf = (gaps: readonly Gap[]): number => gaps.reduce((sum, { count }) => sum + (count ?? 0), 0);

for (const whenFull of ["dropOldest", "dropNewest"] as const) {
  test(`${whenFull}: everything that the venue has sent comes or is told of, also what lost gap records told`, async (t) => {
    const { holes, gaps, tradeIds } = await overfill(t, whenFull);
    t.same(holes, []);
    const feed = gaps.filter(({ reason }) => reason === "feed");
    const told = (id: number): boolean =>
      feed.some(({ fromTradeId, toTradeId }) => Number(fromTradeId) <= id && id <= Number(toTradeId));
    const untold = [];
    for (let id = 10; id <= 20_000; id += 10) if (!told(id)) untold.push(id);
    t.same(untold, []);
    const coalesced = feed.filter(({ count }) => count === null);
    t.ok(coalesced.length > 0 && coalesced.length <= maxDetails, `${coalesced.length} coalesced`);
    const evicted = gaps.filter(({ reason }) => reason === "evicted");
    const exact = feed.length - coalesced.length;
    t.ok(countOf(evicted) + tradeIds.size + exact >= 20_000, "trades, gap records and what was evicted");
  });
}

test("a few gap records that are lost are told again word by word, over restarts", async (t) => {
  const directory = await temporaryDirectory(t);
  const { buffer, stop } = await openBuffer(t, directory, { maxBytes: 2 ** 20, whenFull: "dropOldest" });
  const feed = { reason: "feed", count: 3, fromTradeId: "7", toTradeId: "9" } as const;
  const epochBefore = { reason: "corrupt", count: null, ofEpoch: "00", toSeq: 7 } as const;
  for (let n = 1; n <= 15_000; n += 1) {
    if (n === 5_000) buffer.gap({ ...of, ...feed });
    if (n === 5_001) buffer.gap({ ...of, ...epochBefore });
    buffer.put(noisyTrade(n));
    if (n % 512 === 0) await buffer.flush();
  }
  await stop();
  const again = await openBuffer(t, directory);
  const payloads = [];
  for (const _ of [1, 2]) {
    payloads.push(...(await deliverAll(again.buffer)));
    await again.buffer.flush();
  }
  const { gaps, holes } = judge(payloads);
  t.same(holes, []);
  const told = gaps
    .filter(({ reason }) => reason !== "evicted")
    .map(({ type: _, agent: __, epoch: ___, seq: ____, ...missing }) => missing);
  t.same(new Set(told.map((missing) => JSON.stringify(missing))).size, told.length, "once");
  t.has(
    told.toSorted((a, b) => a.reason.localeCompare(b.reason)),
    [epochBefore, feed],
  );
});

test("a database of version 3 is taken over with what is still to be told", async (t) => {
  const directory = await temporaryDirectory(t);
  const before = await openBuffer(t, directory);
  before.buffer.put(noisyTrade(1));
  await before.stop();
  const lost = `(1, 5, 6, 'evicted', NULL), (1, 7, 7, 'feed', '{"reason":"feed","count":2}')`;
  asVersion(3, directory, `INSERT INTO lost VALUES ${lost}`);
  const { buffer } = await openBuffer(t, directory);
  const payloads = await deliverAllTold(buffer);
  t.match(
    payloads.map((payload) => JSON.parse(payload)),
    [
      { type: "trade", seq: 1 },
      { type: "gap", reason: "evicted", count: 2, fromSeq: 5, toSeq: 6 },
      { type: "gap", reason: "feed", count: 2 },
    ],
  );
});
