/** Regression: what `tcp:`, `stdin:` and `file:` could not read was counted and otherwise gone without a word. */
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { systemClock } from "@equipoise/shared";
import { type Test, test } from "tap";
import { createSource } from "../../agent/src/source/create.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { recordedLog, tradeLine, until } from "./support.ts";
import { KeptMarks, KeptRecords } from "./venue-server.ts";

/** A trade each of two streams, a line that names the first by its fields, and one by its text. */
const input = [
  tradeLine(1),
  tradeLine(2, "ETHUSDT"),
  tradeLine(3, "SOLUSDT"),
  tradeLine(4).replace(/"price":"[^"]*"/, '"price":"wrong"'),
  `${tradeLine(5, "ETHUSDT").slice(0, 80)}\n`,
].join("");

const toldOf = (sink: KeptRecords): string[] =>
  sink.gaps.map(({ venue, symbol, reason, count }) => `${venue}/${symbol} ${reason} ${count}`).sort();

const expected = ["binance/BTCUSDT feed null", "binance/ETHUSDT feed null"];

function sourceOf(t: Test, spec: string, stdin = Readable.from([])) {
  const { logger, lines } = recordedLog();
  const source = createSource(spec, {
    clock: systemClock,
    random: Math.random,
    logger,
    stdin,
    marks: new KeptMarks(),
    speed: "max",
  });
  t.teardown(() => source.stop());
  return { source, lines, sink: new KeptRecords() };
}

test("stdin: what cannot be read becomes gap records of the streams that it names", async (t) => {
  const { source, sink } = sourceOf(t, "stdin:", Readable.from([Buffer.from(input)]));
  await source.run(sink);
  t.same(toldOf(sink), expected);
  t.match(source.status(), { ticks: 3, skipped: 2, gaps: 2 });
});

test("stdin: fields name a stream that has had no trade; with nothing to name it is counted alone", async (t) => {
  const wrong = tradeLine(1, "NEW").replace(/"size":"[^"]*"/, '"size":"wrong"');
  const { source, sink } = sourceOf(t, "stdin:", Readable.from([Buffer.from(`nonsense\n${wrong}`)]));
  await source.run(sink);
  t.same(toldOf(sink), ["binance/NEW feed null"]);
  t.match(source.status(), { ticks: 0, skipped: 2, gaps: 1 });
});

test("tcp: the same", async (t) => {
  const { source, lines, sink } = sourceOf(t, "tcp:127.0.0.1:0");
  await source.open();
  const ended = source.run(sink);
  const port = Number(lines.find(({ event }) => event === "sourceListening")?.port);
  const socket = connect(port, "127.0.0.1");
  socket.end(input);
  await until(() => source.status().ticks === 3 && source.status().skipped === 2);
  source.stop();
  await ended;
  t.same(toldOf(sink), expected);
});

test("file: a frame that cannot be read becomes a gap record, one of another kind does not", async (t) => {
  const frame = (symbol: string, event: string, price: string): string => {
    const fields = `"e":"${event}","s":"${symbol}","t":7,"p":"${price}","q":"1","T":1723161254000,"m":true`;
    return `1723161254000000000 {"stream":"x","data":{${fields}}}\n`;
  };
  const path = join(await temporaryDirectory(t), "recording");
  const frames = [
    frame("A", "trade", "1"),
    frame("A", "aggTrade", "1"),
    '1723161254000000000 {"result":null}\n',
  ];
  for (const [lines, told] of [
    [frames, []],
    [[...frames, frame("A", "trade", "wrong")], ["binance/A feed null"]],
    [[...frames, frame("A", "trade", "1").slice(0, 60)], ["binance/A feed null"]],
  ] as const) {
    await writeFile(path, lines.join(""));
    const { source, sink } = sourceOf(t, `file:${path}?venue=binance`);
    await source.open();
    await source.run(sink);
    t.same(toldOf(sink), told);
  }
});
