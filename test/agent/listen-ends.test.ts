/**
 * Regression: what came while the agent started was reset or dropped without a word, and a stop threw away what waited in
 * sockets and pipes.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { PassThrough } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { systemClock } from "@equipoise/shared";
import { test } from "tap";
import { createSource } from "../../agent/src/source/create.ts";
import { temporaryDirectory } from "../support/broker.ts";
import type { Teardown } from "../support/teardown.ts";
import { pause } from "../support/time.ts";
import { counting, nowhere, recordedLog, startAgent, tradeLine, until } from "./support.ts";
import { KeptMarks, KeptRecords } from "./venue-server.ts";

/** Of a stop that is to take everything; a busy machine may need some of it. */
const graceMs = 60_000;

/** A source that is open and not yet read from. */
async function opened(t: Teardown, spec: string, stdin = new PassThrough()) {
  const { logger, lines } = recordedLog();
  const surroundings = { clock: systemClock, random: Math.random, logger, stdin };
  const options = { ...surroundings, speed: "max", marks: new KeptMarks() };
  const source = createSource(spec, options);
  await source.open();
  t.teardown(() => source.stop(100));
  const port = Number(lines.find(({ event }) => event === "sourceListening")?.port);
  const dropped = () => lines.filter(({ event }) => event === "sourceDropped");
  return { source, port, dropped, sink: new KeptRecords() };
}

async function client(t: Teardown, port: number) {
  const socket = connect(port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Time for what was sent, and, should this process stand still meanwhile, occasions to look at it all the same. */
async function arrival(): Promise<void> {
  for (let look = 0; look < 50; look += 1) await pause(1);
}

const tradeLines = (from: number, to: number): string =>
  counting(from, to)
    .map((n) => tradeLine(n))
    .join("");

const idsTo = (count: number): string[] => counting(1, count).map(String);

test("tcp: who connects and writes before the agent reads is read from the first line on", async (t) => {
  const { source, sink, port } = await opened(t, "tcp:127.0.0.1:0");
  const socket = await client(t, port);
  socket.write(tradeLines(1, 1_000));
  const gone = await client(t, port);
  gone.end(tradeLine(1, "ETHUSDT"));
  await arrival(); // time in which they would be reset
  const ended = source.run(sink);
  socket.write(tradeLines(1_001, 2_000));
  await until(() => sink.ids.length === 2_001);
  const ids = sink.trades.filter(({ symbol }) => symbol === "BTCUSDT").map(({ tradeId }) => tradeId);
  t.same(ids, idsTo(2_000));
  source.stop(graceMs);
  await ended;
  t.same(sink.gaps, []);
});

test("udp: what comes before the agent reads is taken then, in order and by the time it came", async (t) => {
  const { source, sink, port, dropped } = await opened(t, "udp:127.0.0.1:0");
  const socket = createSocket("udp4");
  t.teardown(() => socket.close());
  const line = (n: number): string => tradeLine(n).replace(/,"receivedTimeUs":\d+/, "");
  const before = Date.now() * 1_000;
  for (const n of counting(1, 60)) socket.send(line(n), port, "127.0.0.1");
  await arrival();
  const after = Date.now() * 1_000;
  sink.hasRoom = false;
  const ended = source.run(sink);
  socket.send(line(61), port, "127.0.0.1");
  await arrival();
  t.equal(sink.ids.length, 1, "also while there is no room");
  sink.makeRoom();
  await until(() => sink.ids.length === 61);
  t.same(sink.ids, idsTo(61));
  const { receivedTimeUs = 0 } = sink.trades[59] ?? {};
  t.ok(receivedTimeUs >= before && receivedTimeUs <= after);
  source.stop(graceMs);
  await ended;
  t.same([source.status().skipped, dropped()], [0, []]);
});

test("udp: what does not fit into memory meanwhile is counted, said and told", async (t) => {
  const { source, sink, port, dropped } = await opened(t, "udp:127.0.0.1:0");
  const socket = createSocket("udp4");
  t.teardown(() => socket.close());
  const lines = tradeLine(1).repeat(200);
  const sent = 160;
  for (let n = 0; n < sent; n += 1) {
    await new Promise((resolve) => socket.send(lines, port, "127.0.0.1", resolve));
    await setImmediate(); // it is received before the next is sent
  }
  await arrival();
  const ended = source.run(sink);
  await until(() => dropped().length > 0);
  source.stop(graceMs);
  await ended;
  const { ticks, skipped } = source.status();
  t.ok(skipped > 0);
  t.equal(ticks + skipped, sent * 200);
  t.match(dropped(), [{ code: "EQ_LIMIT_REACHED", dropped: skipped }]);
  t.match(sink.gaps, [{ symbol: "BTCUSDT", reason: "feed", count: null }]);
});

test("tcp: a stop takes what has arrived, and the program sees that nobody reads on", async (t) => {
  const { source, sink, port } = await opened(t, "tcp:127.0.0.1:0");
  const ended = source.run(sink);
  const socket = await client(t, port);
  const sees = once(socket.resume(), "end");
  sink.hasRoom = false;
  socket.write(tradeLines(1, 20_000));
  await until(() => sink.ids.length === 1);
  source.stop(graceMs);
  await sees;
  sink.makeRoom();
  await ended;
  t.same(sink.ids, idsTo(20_000));
  t.same(sink.gaps, []);
});

test("tcp: a program that does not go by the stop's half-close loses nothing that it wrote before", async (t) => {
  const { source, sink, port } = await opened(t, "tcp:127.0.0.1:0");
  const ended = source.run(sink);
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.on("error", () => {}); // the connection is closed on it in the end
  socket.write(tradeLines(1, 5_000));
  await until(() => sink.ids.length > 0);
  source.stop(graceMs);
  await ended;
  t.same(sink.ids, idsTo(5_000));
});

test("tcp: what a stop has no room for is counted, said and told", async (t) => {
  const { source, sink, port, dropped } = await opened(t, "tcp:127.0.0.1:0");
  const ended = source.run(sink);
  const socket = await client(t, port);
  sink.hasRoom = false;
  socket.resume().write(`${tradeLines(1, 20_000)}${tradeLine(1, "ETHUSDT")}`);
  await until(() => sink.ids.length === 1);
  source.stop(graceMs);
  sink.close();
  await ended;
  t.match(source.status(), { ticks: 1, skipped: 20_000, gaps: sink.gaps.length });
  t.ok(sink.gaps.length <= 10, `${sink.gaps.length} gap records: one for each stream and second`);
  t.match(dropped(), [{ code: "EQ_LIMIT_REACHED", dropped: 20_000 }]);
  // On a slow machine it is told before the end, and the rest of it then.
  t.same(new Set(sink.gaps.map(({ symbol }) => symbol)), new Set(["BTCUSDT", "ETHUSDT"]));
});

test("tcp: a program that writes on and on holds up the stop no longer than allowed, and that is told", async (t) => {
  const { source, sink, port, dropped } = await opened(t, "tcp:127.0.0.1:0");
  const ended = source.run(sink);
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let n = 0;
  const writing = setInterval(() => socket.write(tradeLine(++n)), 5);
  t.teardown(() => clearInterval(writing));
  t.teardown(() => socket.destroy());
  socket.on("error", () => {}); // the connection is closed on it in the end
  await until(() => sink.ids.length > 0);
  source.stop(300);
  await ended;
  t.match(dropped(), [{ code: "EQ_LIMIT_REACHED", dropped: null }]);
  t.match(sink.gaps, [{ symbol: "BTCUSDT", reason: "feed", count: null }]);
});

test("tcp: a connection that breaks off is told, and so is its half line", async (t) => {
  const { source, sink, port } = await opened(t, "tcp:127.0.0.1:0");
  const ended = source.run(sink);
  const socket = await client(t, port);
  socket.write(`${tradeLine(1)}${tradeLine(2).slice(0, 60)}`);
  await until(() => sink.ids.length === 1);
  socket.resetAndDestroy();
  await until(() => source.status().skipped === 1);
  source.stop(graceMs);
  await ended;
  t.match(sink.gaps, [{ symbol: "BTCUSDT", reason: "feed", count: null }]);
});

test("stdin: a stop takes what waits in the pipe", async (t) => {
  const stdin = new PassThrough();
  const { source, sink } = await opened(t, "stdin:", stdin);
  const ended = source.run(sink);
  sink.hasRoom = false;
  stdin.write(tradeLines(1, 50));
  await until(() => sink.ids.length === 1);
  stdin.write(tradeLines(51, 100));
  source.stop(graceMs);
  sink.makeRoom();
  await until(() => source.status().state === "ended");
  await ended;
  t.same(sink.ids, idsTo(100));
});

test("an agent that is stopped under a burst has taken all that its program wrote before", async (t) => {
  const sent = 30_000;
  const args = ["--source", "tcp:127.0.0.1:0", "--shutdown-timeout-ms", "60000"];
  const agent = startAgent(t, await temporaryDirectory(t), nowhere, ...args);
  const { port } = await agent.event("sourceListening");
  const socket = await client(t, Number(port));
  // What is still in this process is not the agent's to take.
  await new Promise((resolve) => socket.resume().write(tradeLines(1, sent), resolve));
  await agent.event("ready");
  t.equal(await agent.stop(), 0);
  t.match(await agent.event("ended"), { read: sent, skipped: 0, gaps: 0, waiting: sent });
});
