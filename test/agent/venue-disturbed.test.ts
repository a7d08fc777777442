/** Every venue's recorded frames lost, doubled, truncated, corrupted and out of order, at random. */
import type { VenueGap, VenueTrade } from "@equipoise/shared";
import fc from "fast-check";
import { type Test, test } from "tap";
import { FakeClock } from "./support.ts";
import { type Expected, type RecordedSession, recordedSessions } from "./venue-frames.ts";
import { type KeptRecords, runVenue, VenueServer } from "./venue-server.ts";

const seed = Number(process.env.VENUE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const numRuns = Number(process.env.VENUE_RUNS ?? 12);
/** Of a long session so many frames. */
const mostFrames = 300;
/** Their trade ids count without holes; those of the others say only what came before. */
const numberedVenues = new Set(["binance", "binance-usdm", "coinbase", "okx"]);

/** What may happen to a frame on its way. */
const fate = fc.oneof(
  { weight: 12, arbitrary: fc.constant("whole" as const) },
  { weight: 2, arbitrary: fc.constant("twice" as const) },
  { weight: 1, arbitrary: fc.constant("lost" as const) },
  { weight: 1, arbitrary: fc.constant("truncated" as const) },
  { weight: 1, arbitrary: fc.constant("corrupted" as const) },
  { weight: 2, arbitrary: fc.constant("late" as const) },
);
type Fate = typeof fate extends fc.Arbitrary<infer T> ? T : never;

const shape = fc.record({
  fates: fc.array(fate, { minLength: 40, maxLength: 200 }),
  places: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
    minLength: 40,
    maxLength: 200,
  }),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

/** A control character is allowed nowhere in JSON. */
const corrupted = (frame: string, place: number): string => {
  const at = 1 + Math.floor(place * (frame.length - 1));
  return `${frame.slice(0, at)}\u0001${frame.slice(at)}`;
};

/** Until every symbol has traded nothing is disturbed: what was before the first trade is nobody's loss. */
function firstDisturbed({ read, frames }: RecordedSession): number {
  const symbols = new Set(frames.flatMap(read).map(({ symbol }) => symbol));
  return frames.findIndex((frame) => {
    for (const { symbol } of read(frame)) symbols.delete(symbol);
    return symbols.size === 0;
  });
}

/** The frames as they come; those that can be read, in order of coming; and how many cannot. */
function disturbed(frames: readonly string[], from: number, { fates, places }: Shape) {
  const sent: string[] = [];
  const readable: string[] = [];
  let unreadable = 0;
  const late: string[] = [];
  const pass = (...whole: string[]): void => {
    sent.push(...whole);
    readable.push(...whole);
  };
  for (const [index, frame] of frames.entries()) {
    const what: Fate = index <= from ? "whole" : (fates[index % fates.length] as Fate);
    const place = places[index % places.length] as number;
    if (what === "late") late.push(frame);
    if (what === "whole") pass(frame);
    if (what === "twice") pass(frame, frame);
    if (what === "truncated") sent.push(frame.slice(0, 1 + Math.floor(place * (frame.length - 1))));
    if (what === "corrupted") sent.push(corrupted(frame, place));
    if (what === "truncated" || what === "corrupted") unreadable += 1;
    if (index % 7 === 0) pass(...late.splice(0).reverse());
  }
  pass(...late);
  return { sent, readable, unreadable };
}

const text = ({ symbol, tradeId, price, size, side, exchangeTimeUs }: Expected | VenueTrade): string =>
  [symbol, tradeId, price, size, side, exchangeTimeUs].join(" ");

/** Each once where they have ids. */
function expectedOf(session: RecordedSession, readable: readonly string[]): Expected[] {
  const seen = new Set<string>();
  return readable.flatMap(session.read).filter((trade) => {
    const name = `${trade.symbol} ${trade.tradeId}`;
    if (trade.tradeId === undefined || !seen.has(name)) return seen.add(name);
    return false;
  });
}

/** Trades and gap records of one symbol in order of id, none twice, and nothing that is both there and missing. */
function orderFault(records: readonly (VenueTrade | VenueGap)[]): string | undefined {
  let last = 0;
  for (const record of records) {
    const isTrade = "price" in record;
    const from = Number(isTrade ? record.tradeId : record.fromTradeId);
    const to = Number(isTrade ? record.tradeId : record.toTradeId);
    if (from <= last) return `${from} behind ${last}`;
    if (!isTrade && to - from + 1 !== record.count) return `${record.count} from ${from} to ${to}`;
    last = to;
  }
  return undefined;
}

function judgeRecords(t: Test, session: RecordedSession, sink: KeptRecords, expected: Expected[]): void {
  const isNumbered = numberedVenues.has(session.venue) || session.label === "v2";
  const [got, wanted] = [sink.trades.map(text), expected.map(text)];
  if (!isNumbered) return void t.same(got, wanted, "in the order of coming");
  t.same(got.toSorted(), wanted.toSorted(), "each once, to the digit");
  const bySymbol = Map.groupBy(sink.records, ({ symbol }) => symbol);
  for (const [symbol, records] of bySymbol) t.equal(orderFault(records), undefined, symbol);
}

for (const session of recordedSessions) {
  test(`${session.venue}, ${session.label}: of disturbed frames the counts are exact (VENUE_SEED=${seed})`, async (t) => {
    const frames = session.frames.slice(0, mostFrames);
    const part = { ...session, frames };
    const from = firstDisturbed(part);
    const server = new VenueServer();
    await server.start(t);
    const symbols = new Set(frames.flatMap(session.read).map(({ symbol }) => symbol));
    const spec = `${session.venue}:${[...symbols].join(",")}?url=${server.url}`;
    const property = fc.asyncProperty(shape, async (one) => {
      const { sent, readable, unreadable } = disturbed(frames, from, one);
      const connections = server.clients.length;
      // No hole is given up while frames are on their way.
      const { source, sink, ended } = runVenue(t, spec, { clock: new FakeClock() });
      const client = await server.client(connections);
      await client.sendAll(...sent);
      source.stop();
      await ended;
      const expected = expectedOf(part, readable);
      const gaps = sink.gaps.length;
      t.match(source.status(), { state: "ended", ticks: expected.length, skipped: unreadable, gaps });
      t.equal(source.repeated, readable.flatMap(session.read).length - expected.length);
      judgeRecords(t, part, sink, expected);
    });
    await fc.assert(property, { numRuns, seed });
    t.comment(`seed ${seed}, ${numRuns} runs of ${frames.length} frames`);
  });
}
