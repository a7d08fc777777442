/** Venues whose ids do not tell what is missing: every moment in which no connection has a symbol is told of. */
import { test } from "tap";
import type { Teardown } from "../support/teardown.ts";
import { counting, FakeClock, until } from "./support.ts";
import { runVenue, type VenueClient, VenueServer } from "./venue-server.ts";

const trade = (id: number, market = "btcusd"): string =>
  `{"event":"trade","channel":"live_trades_${market}","data":{"id":${id},"price_str":"1","amount_str":"2","type":0,"microtimestamp":"1723000000000000"}}`;
const ack = (market = "btcusd"): string =>
  `{"event":"bts:subscription_succeeded","channel":"live_trades_${market}","data":{}}`;
const refusal = '{"event":"bts:error","channel":"","data":{"message":"Bad subscription string."}}';
const ageing = '{"event":"bts:request_reconnect","channel":"","data":""}';

/** A source whose markets have been asked for on the first connection. */
async function start(t: Teardown, markets: string) {
  const server = new VenueServer();
  await server.start(t);
  const clock = new FakeClock();
  const run = runVenue(t, `bitstamp:${markets}?url=${server.url}`, { clock });
  const lost = (): number => run.lines.filter(({ event }) => event === "sourceLost").length;
  /** The connection with this index, with all markets asked for. */
  const asked = async (index: number): Promise<VenueClient> => {
    const client = await server.client(index);
    for (let count = 1; count <= markets.split(",").length; count += 1) {
      await until(() => client.frames.length >= count);
      clock.advance(100);
    }
    return client;
  };
  return { server, clock, asked, lost, ...run };
}

/** Two symbols with a trade each, and the connection that comes after theirs was lost. */
async function startAgain(t: Teardown) {
  const run = await start(t, "btcusd,ethusd");
  const { clock, asked, lost } = run;
  const first = await asked(0);
  await first.sendAll(ack(), ack("ethusd"), trade(1), trade(2, "ethusd"));
  const lostUs = clock.wallMs() * 1_000;
  first.socket.terminate();
  await until(() => lost() === 1);
  clock.advance(1_000);
  return { ...run, lostUs, second: await asked(1) };
}

test("when the new connection is lost while the old one is still read, the old one goes on, and its end is told of", async (t) => {
  const { server, clock, asked, lost, sink } = await start(t, "btcusd");
  const first = await asked(0);
  await first.sendAll(ack(), trade(1));
  for (let n = 0; n < 3; n += 1) {
    clock.advance(10_000);
    await first.sendAll();
  }
  await first.sendAll(ageing);
  const second = await asked(1);
  await second.sendAll(ack(), trade(2));
  clock.advance(500);
  second.socket.terminate();
  await until(() => lost() === 1);
  clock.advance(5_000);
  const third = await server.client(2);
  await first.sendAll(trade(3));
  t.same(sink.gaps, [], "somebody has read all the time");
  const heardUs = clock.wallMs() * 1_000;
  first.socket.terminate();
  await until(() => lost() === 2);
  await until(() => third.frames.length > 0);
  clock.advance(7_000);
  await third.sendAll(ack(), trade(99));
  t.same(sink.ids, ["1", "2", "3", "99"]);
  t.match(sink.gaps, [{ symbol: "BTCUSD", count: null, fromTimeUs: heardUs, toTimeUs: heardUs + 7_000_000 }]);
});

test("a symbol that the venue refuses when the connection comes again is asked for again, and missing until it is there", async (t) => {
  const { clock, asked, sink, source, lostUs, second } = await startAgain(t);
  await second.sendAll(ack(), refusal);
  t.same(source.missing, ["ETHUSD"]);
  t.match(
    sink.gaps.map(({ symbol }) => symbol),
    ["BTCUSD"],
    "how long it will be nobody knows yet",
  );
  for (const _ of [1, 2, 3]) {
    clock.advance(20_000);
    await second.sendAll();
  }
  const third = await asked(2);
  await third.sendAll(ack(), refusal);
  for (const _ of counting(1, 8)) {
    clock.advance(15_000);
    await third.sendAll();
  }
  const fourth = await asked(3);
  await fourth.sendAll(ack(), ack("ethusd"), trade(3, "ethusd"));
  const backUs = clock.wallMs() * 1_000;
  t.match(
    sink.gaps.filter(({ symbol }) => symbol === "ETHUSD"),
    [{ count: null, fromTimeUs: lostUs, toTimeUs: backUs }],
    "all the time, as one",
  );
  t.same(source.missing, []);
});

test("a symbol without an answer is missing, though another one has ticks", async (t) => {
  const { clock, sink, source, lines, lostUs, second } = await startAgain(t);
  await second.sendAll(ack(), trade(3));
  clock.advance(10_000);
  t.match(lines.filter(({ event }) => event === "sourceLive").at(-1), { missing: ["ETHUSD"] });
  t.same(source.missing, ["ETHUSD"]);
  clock.advance(10_000);
  await second.sendAll(trade(4, "ethusd"));
  t.match(
    sink.gaps.filter(({ symbol }) => symbol === "ETHUSD"),
    [{ count: null, fromTimeUs: lostUs, toTimeUs: clock.wallMs() * 1_000 }],
  );
});

test("a symbol that the venue never had gets no gap record, however often the connection is lost", async (t) => {
  const { clock, asked, lost, sink } = await start(t, "btcusd,nosuch");
  for (let round = 0; round < 3; round += 1) {
    const client = await asked(round);
    await client.sendAll(ack(), refusal, trade(round));
    client.socket.terminate();
    await until(() => lost() === round + 1);
    clock.advance(1_000);
  }
  t.same([...new Set(sink.records.map(({ symbol }) => symbol))], ["BTCUSD"]);
});
