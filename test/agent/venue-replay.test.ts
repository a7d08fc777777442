import fc from "fast-check";
import { test } from "tap";
import { counting, FakeClock, until } from "./support.ts";
import { binanceFrames, type RecordedSession, recordedSessions } from "./venue-frames.ts";
import { runVenue, type VenueClient, VenueServer } from "./venue-server.ts";

type Teardown = Parameters<typeof runVenue>[0];

/** A source for everything in the session, connected to a server that has sent these frames. */
async function replay(
  t: Teardown,
  session: Pick<RecordedSession, "venue" | "read">,
  frames: readonly string[],
) {
  const server = new VenueServer((client: VenueClient) => client.send(...frames));
  await server.start(t);
  const symbols = new Set(frames.flatMap((frame) => session.read(frame)).map(({ symbol }) => symbol));
  return runVenue(t, `${session.venue}:${[...symbols].join(",")}?url=${server.url}`);
}

for (const session of recordedSessions) {
  test(`${session.venue}, ${session.label}: what comes over a socket is what was recorded, in order, without a gap`, async (t) => {
    const { source, sink } = await replay(t, session, session.frames);
    await until(() => sink.records.length >= session.trades);
    const got = sink.trades.map(({ symbol, tradeId, price, size, side, exchangeTimeUs }) =>
      [symbol, tradeId, price, size, side, exchangeTimeUs].join(" "),
    );
    const recorded = session.frames.flatMap(session.read).map((trade) => Object.values(trade).join(" "));
    t.same(
      got.filter((line, index) => line !== recorded[index]),
      [],
    );
    t.match(source.status(), { state: "running", ticks: session.trades, skipped: 0, gaps: 0 });
  });
}

/** What may happen to a frame on its way. The first one stays: without it nothing before the second is known. */
const fate = fc.oneof(
  { weight: 12, arbitrary: fc.constant("whole" as const) },
  { weight: 2, arbitrary: fc.constant("twice" as const) },
  { weight: 1, arbitrary: fc.constant("lost" as const) },
  { weight: 1, arbitrary: fc.constant("truncated" as const) },
  { weight: 2, arbitrary: fc.constant("late" as const) },
);
type Fate = typeof fate extends fc.Arbitrary<infer T> ? T : never;

/** The frames as they come, and what must be made of them. */
function disturbed(frames: readonly string[], fates: readonly Fate[]) {
  const sent: string[] = [];
  const late: string[] = [];
  const counts = { whole: 0, twice: 0, lost: 0, truncated: 0, late: 0 };
  for (const [index, frame] of frames.entries()) {
    const end = index === 0 || index === frames.length - 1;
    const what = end ? "whole" : (fates[index % fates.length] as Fate);
    counts[what] += 1;
    if (what === "late") late.push(frame);
    if (what === "truncated") sent.push(frame.slice(0, frame.length / 2));
    if (what === "whole" || what === "twice") sent.push(frame);
    if (what === "twice") sent.push(frame);
    if (index % 7 === 0) sent.push(...late.splice(0).reverse());
  }
  return { sent: [...sent, ...late], counts };
}

test("frames lost, doubled, truncated and out of order give exact counts, and every hole its gap record", async (t) => {
  const frames = binanceFrames("spot").slice(0, 400);
  const session = recordedSessions.find(({ label }) => label === "five minutes") as RecordedSession;
  const ids = frames.map((frame) => Number(session.read(frame)[0]?.tradeId));
  const server = new VenueServer();
  await server.start(t);
  await fc.assert(
    fc.asyncProperty(fc.array(fate, { minLength: 40, maxLength: 200 }), async (fates) => {
      const { sent, counts } = disturbed(frames, fates);
      const clock = new FakeClock(); // no hole is given up while frames are on their way
      const connections = server.clients.length;
      const { source, sink, ended } = runVenue(t, `binance:BTCUSDT?url=${server.url}`, { clock });
      const client = await server.client(connections);
      await client.sendAll(...sent);
      source.stop();
      await ended;
      const ticks = frames.length - counts.lost - counts.truncated;
      t.match(source.status(), { state: "ended", ticks, skipped: counts.truncated, gaps: sink.gaps.length });
      t.equal(source.repeated, counts.twice);
      // Trades and gap records together name every id once, in order.
      const covered = sink.records.flatMap((record) => {
        if ("price" in record) return [Number(record.tradeId)];
        const from = Number(record.fromTradeId);
        t.equal(Number(record.toTradeId) - from + 1, record.count);
        return counting(from, Number(record.toTradeId));
      });
      t.same(covered, ids);
    }),
    { numRuns: 25, seed: 42 },
  );
});
