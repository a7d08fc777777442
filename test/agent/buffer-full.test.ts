import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { deliverAllTold, openBuffer } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { FakeClock, noisyTrade, until } from "./support.ts";

test("a commit that evicts nothing does not end a run of losses: one gap record tells of all", async (t) => {
  const options = { maxBytes: 2 ** 20, whenFull: "dropOldest", clock: new FakeClock() } as const;
  const { buffer, lines } = await openBuffer(t, await temporaryDirectory(t), options);
  for (let n = 1; n <= 20_000; n += 1) {
    buffer.put(noisyTrade(n));
    if (n % 512 < 3) await buffer.flush(); // large commits evict, small ones find room
  }
  await buffer.flush();
  const { holes, gaps, tradeIds } = judge(await deliverAllTold(buffer));
  t.same([holes, gaps.length], [[], 1]);
  t.equal((gaps[0]?.count ?? 0) + tradeIds.size, 20_000);
  t.same(
    lines.flatMap(({ event }) => (event === "bufferFull" || event === "bufferRoom" ? event : [])),
    ["bufferFull", "bufferRoom"],
  );
});

test("who waits for room gets it when waiting ticks become too old, although nothing else happens", async (t) => {
  const clock = new FakeClock();
  const options = { clock, maxBytes: 2 ** 20, maxAgeMs: 60_000, whenFull: "block" } as const;
  const { buffer } = await openBuffer(t, await temporaryDirectory(t), options);
  let put = 0;
  const putOne = (): boolean => {
    put += 1;
    return buffer.put(noisyTrade(put));
  };
  do {
    while (putOne());
    await buffer.flush();
  } while (!buffer.intake().full);
  let hasRoom = false;
  const room = buffer.room().then(() => {
    hasRoom = true;
  });
  for (let n = 0; n < 5; n += 1) {
    clock.advance(10_001); // what is due anyway is done while they are young
    await buffer.flush();
  }
  t.equal(buffer.stats().lost, 0);
  await until(() => {
    clock.advance(1_000);
    return hasRoom;
  });
  await room;
  t.ok(buffer.stats().lost > 0 && buffer.stats().lost < put, `${buffer.stats().lost} of ${put}`);
});
