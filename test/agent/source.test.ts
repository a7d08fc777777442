import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { systemClock, type VenueTrade } from "@equipoise/shared";
import { test } from "tap";
import { parseBinanceFrame } from "../../agent/src/source/binance.ts";
import { FileSource } from "../../agent/src/source/file.ts";
import { lineBatches, tooLong } from "../../agent/src/source/lines.ts";
import { parseNormalisedTrade } from "../../agent/src/source/normalised.ts";
import { splitRecording } from "../../agent/src/source/recording.ts";
import { parseSourceSpec } from "../../agent/src/source/spec.ts";
import { StdinSource } from "../../agent/src/source/stdin.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { recordedLog, trade, tradeLine } from "./support.ts";

const sample = new URL("../../deploy/demo/sample/spot_btcusdt_20240808.trades.txt.gz", import.meta.url);
const unlimited = Number.POSITIVE_INFINITY;

/** A sink that keeps everything, and is full after every `fullEvery`th trade. */
function collector(fullEvery = unlimited) {
  const trades: VenueTrade[] = [];
  let waits = 0;
  const sink = {
    put: (trade: VenueTrade) => trades.push(trade) % fullEvery !== 0,
    gap: () => true,
    room: async () => {
      waits += 1;
      return true;
    },
  };
  return { trades, sink, waits: () => waits };
}

function fileSource(path: string, options = "", speed = unlimited) {
  const spec = parseSourceSpec(`file:${path}${options}`);
  if ("fault" in spec || spec.kind !== "file") throw new Error(`no file: ${path}`);
  const { logger, lines } = recordedLog();
  return { source: new FileSource(spec, speed, systemClock, logger), lines };
}

test("every trade of the sample keeps the venue's digits to the letter", async (t) => {
  const { source } = fileSource(sample.pathname);
  const { trades, sink, waits } = collector(100);
  await source.open();
  await source.run(sink);
  const lines = gunzipSync(readFileSync(sample)).toString("latin1").trimEnd().split("\n");
  t.equal(lines.length, 9_757);
  t.equal(trades.length, lines.length);
  const wrong = lines.filter((line, index) => {
    const read = (pattern: RegExp) => pattern.exec(line)?.[1];
    const got = trades[index];
    return (
      got?.price !== read(/"p":"([^"]+)"/) ||
      got?.size !== read(/"q":"([^"]+)"/) ||
      got?.tradeId !== read(/"t":(\d+)/) ||
      got?.symbol !== read(/"s":"([^"]+)"/) ||
      `${got?.exchangeTimeUs}` !== `${read(/"T":(\d+)/)}000` ||
      got?.side !== (read(/"m":(true|false)/) === "true" ? "sell" : "buy")
    );
  });
  t.same(wrong, []);
  t.equal(waits(), 97, "it waits for room each time the sink is full");
  t.match(source.status(), { state: "ended", ticks: 9_757, skipped: 0, done: 1 });
});

test("the time a trade was received is the agent's own clock, not the recorder's", async (t) => {
  const { source } = fileSource(sample.pathname);
  const { trades, sink } = collector();
  const beforeUs = Date.now() * 1000;
  await source.open();
  await source.run(sink);
  t.ok(
    trades.every(({ receivedTimeUs }) => receivedTimeUs >= beforeUs && receivedTimeUs <= Date.now() * 1000),
  );
});

test("a futures frame with fields of its own is a trade of the venue it is said to be", async (t) => {
  const frame =
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}';
  t.same(parseBinanceFrame(frame, "binance-usdm", 7), {
    venue: "binance-usdm",
    symbol: "BTCUSDT",
    tradeId: "5266583935",
    price: "61800.30",
    size: "0.006",
    side: "buy",
    exchangeTimeUs: 1_723_161_256_322_000,
    receivedTimeUs: 7,
  });
});

test("frames that are no trades are refused with the reason", async (t) => {
  const trade = '{"data":{"e":"trade","s":"A","t":1,"p":"1","q":"1","T":1,"m":true}}';
  t.ok(parseBinanceFrame(trade, "binance", 0));
  const cases: [string, RegExp][] = [
    ["", /not JSON/],
    ["null", /no trade/],
    ["[]", /no trade/],
    [trade.replace('"trade"', '"aggTrade"'), /aggTrade/],
    [trade.replace('"1","q"', '"1e5","q"'), /price/],
    [trade.replace('"q":"1"', '"q":1'), /size/],
    [trade.replace('"t":1', '"t":9007199254740993'), /trade id/],
    [trade.replace('"T":1', '"T":"x"'), /time/],
    [trade.replace('"m":true', '"m":1'), /true or false/],
    [trade.replace('"s":"A"', '"s":""'), /symbol/],
  ];
  for (const [frame, reason] of cases) {
    t.throws(
      () => parseBinanceFrame(frame, "binance", 0),
      { code: "EQ_SOURCE_BAD_RECORD", message: reason },
      frame,
    );
  }
  for (const line of ["", "x", "12 {}", "abcdefghijklmnop {}", "99999999999999999999999 {}"]) {
    t.throws(() => splitRecording(line), { code: "EQ_SOURCE_BAD_RECORD" }, line);
  }
});

test("numbers on standard input keep every digit they were written with", async (t) => {
  const line =
    '{"venue":"Kraken","symbol":"xbt/usd","price":61837.630000000000001,"size":1e-8,"side":"buy","exchangeTimeUs":1723161255342000}';
  t.same(parseNormalisedTrade(line, 9), {
    venue: "kraken",
    symbol: "XBT-USD",
    price: "61837.630000000000001",
    size: "0.00000001",
    side: "buy",
    exchangeTimeUs: 1_723_161_255_342_000,
    receivedTimeUs: 9,
  });
  t.equal(parseNormalisedTrade(line.replace("}", ',"receivedTimeUs":6}'), 9).receivedTimeUs, 6);
  t.equal(
    parseNormalisedTrade(line.replace("}", ',"tradeId":90071992547409931}'), 9).tradeId,
    "90071992547409931",
  );
  for (const bad of ["5", "null", "[]", "{", line.replace('"buy"', '"up"'), line.replace(":17", ":-17")]) {
    t.throws(() => parseNormalisedTrade(bad, 9), { code: "EQ_SOURCE_BAD_RECORD" }, bad);
  }
});

test("a time of a trade that cannot be microseconds is refused: it was written in another unit", async (t) => {
  const { exchangeTimeUs } = trade(1);
  const withTime = (time: number): string => JSON.stringify({ ...trade(1), exchangeTimeUs: time });
  for (const time of [0, exchangeTimeUs / 1e6, exchangeTimeUs / 1e3, exchangeTimeUs * 5].map(Math.floor)) {
    const message = `"exchangeTimeUs" must be microseconds since 1970, which ${time} cannot be`;
    t.throws(() => parseNormalisedTrade(withTime(time), 9), { code: "EQ_SOURCE_BAD_RECORD", message });
  }
  t.equal(parseNormalisedTrade(withTime(exchangeTimeUs), 9).exchangeTimeUs, exchangeTimeUs);
});

test("bad lines are skipped and counted; the first five are named, the others once at the end", async (t) => {
  const { logger, lines } = recordedLog();
  const long = `{"x":"${"y".repeat(20_000)}"}\n`;
  const input = [
    tradeLine(1),
    "nonsense\n",
    "\n",
    long,
    tradeLine(2),
    "{}\n".repeat(6),
    tradeLine(3).trimEnd(),
  ];
  const source = new StdinSource(
    "stdin:",
    Readable.from(input.map((text) => Buffer.from(text))),
    systemClock,
    logger,
  );
  const { trades, sink } = collector();
  await source.run(sink);
  t.same(
    trades.map(({ tradeId }) => tradeId),
    ["1", "2", "3"],
  );
  t.match(source.status(), { state: "ended", ticks: 3, skipped: 8 });
  const reported = lines.filter(({ event }) => event === "lineSkipped");
  t.same(
    reported.map(({ line, code, source: spec }) => [line, code, spec]),
    [2, 4, 6, 7, 8].map((line) => [line, "EQ_SOURCE_BAD_RECORD", "stdin:"]),
  );
  t.match(reported[1]?.reason, /longer than 16384 bytes/);
  t.match(lines.at(-1), { event: "linesSkipped", skipped: 8, unreported: 3 });
});

test("a line that never ends takes bounded memory and counts as one bad line", async (t) => {
  async function* endless() {
    for (let n = 0; n < 200; n += 1) yield Buffer.alloc(1_000, "x");
    yield Buffer.from("\nend\r\n");
  }
  const lines = [];
  for await (const batch of lineBatches(endless(), 2_000)) lines.push(...batch);
  t.same(lines, [tooLong, "end"]);
});

test("a character that is split over two chunks stays whole", async (t) => {
  const bytes = Buffer.from("a€b\nc");
  const chunks = Readable.from([bytes.subarray(0, 2), bytes.subarray(2)]);
  const lines = [];
  for await (const batch of lineBatches(chunks, 100)) lines.push(...batch);
  t.same(lines, ["a€b", "c"]);
});

test("lines are the same however their bytes come in pieces", async (t) => {
  const text = "a\r\n\n€€\n\r\n12345678\r\n123456789\n123456789\r\nend\r";
  const bytes = Buffer.from(text);
  const expected = ["a", "", "€€", "", "12345678", tooLong, tooLong, "end"];
  for (let size = 1; size <= bytes.length; size += 1) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
      bytes.subarray(n * size, (n + 1) * size),
    );
    const lines = [];
    for await (const batch of lineBatches(Readable.from(pieces), 8)) lines.push(...batch);
    t.same(lines, expected, `pieces of ${size}`);
  }
});

test("of a truncated gzip everything before the fault counts, and the fault is named", async (t) => {
  const text = gunzipSync(readFileSync(sample)).toString("latin1").split("\n").slice(0, 2_000).join("\n");
  const whole = gzipSync(text);
  const path = join(await temporaryDirectory(t), "cut.gz");
  await writeFile(path, whole.subarray(0, whole.length - 9));
  const { source } = fileSource(path);
  const { trades, sink } = collector();
  await source.open();
  await t.rejects(source.run(sink), {
    code: "EQ_SOURCE_UNREADABLE",
    message: /cut\.gz: unexpected end of file/,
  });
  t.ok(trades.length >= 1_990, `${trades.length} of 2,000 trades`);
  t.equal(source.status().state, "failed");
});

test("a file that only claims to be gzip fails with the fault", async (t) => {
  const path = join(await temporaryDirectory(t), "no.gz");
  await writeFile(path, "1 {}\n");
  const { source } = fileSource(path);
  await source.open();
  await t.rejects(source.run(collector().sink), {
    code: "EQ_SOURCE_UNREADABLE",
    message: /no\.gz: incorrect header/,
  });
});

test("a looping file begins again at its end, until it is stopped", async (t) => {
  const path = join(await temporaryDirectory(t), "three.txt");
  const lines = gunzipSync(readFileSync(sample)).toString("latin1").split("\n").slice(0, 3);
  await writeFile(path, lines.join("\n"));
  const { source } = fileSource(path, "?loop=true&venue=other");
  const { trades, sink } = collector();
  await source.open();
  await source.run({
    ...sink,
    put: (trade) => {
      if (trades.length === 7) source.stop();
      return sink.put(trade);
    },
  });
  t.equal(trades.length, 8);
  t.equal(trades[0]?.tradeId, trades[6]?.tradeId);
  t.equal(trades[0]?.venue, "other");
});

test("a looping file without a trade ends instead of spinning", async (t) => {
  const path = join(await temporaryDirectory(t), "empty.txt");
  await writeFile(path, '1723161254000000000 {"result":null}\n');
  const { source } = fileSource(path, "?loop=true");
  await source.open();
  await source.run(collector().sink);
  t.match(source.status(), { state: "ended", ticks: 0, skipped: 1 });
});

test("a file that is no recording fails and says so, and no gap record tells of its lines", async (t) => {
  const path = join(await temporaryDirectory(t), "trades.jsonl");
  for (const count of [1, 300]) {
    await writeFile(path, tradeLine(1).repeat(count));
    const { source } = fileSource(path);
    await source.open();
    const gaps: unknown[] = [];
    const sink = { ...collector().sink, gap: (gap: unknown) => gaps.push(gap) > 0 };
    const message = /trades\.jsonl is no recording: no line of it has the form TIME_NS FRAME; .* stdin:$/;
    await t.rejects(source.run(sink), { code: "EQ_SOURCE_UNREADABLE", message });
    t.match(source.status(), { state: "failed", ticks: 0 });
    t.same(gaps, []);
  }
});

test("a recording whose first line is damaged is read", async (t) => {
  const path = join(await temporaryDirectory(t), "recording");
  const data = '{"e":"trade","s":"A","t":7,"p":"1","q":"1","T":1723161254000,"m":true}';
  await writeFile(path, `{"data":${data}}\n1723161254000000000 {"data":${data}}\n`);
  const { source } = fileSource(path);
  await source.open();
  await source.run(collector().sink);
  t.match(source.status(), { state: "ended", ticks: 1, skipped: 1 });
});

test("a path that cannot be read is refused before anything runs", async (t) => {
  const directory = await temporaryDirectory(t);
  for (const path of [join(directory, "missing"), directory]) {
    const { source } = fileSource(path);
    await t.rejects(source.open(), { code: "EQ_SOURCE_UNREADABLE", message: new RegExp(path) });
  }
});

test("a source specification says exactly what is wrong with it", async (t) => {
  t.same(parseSourceSpec("file:/a?b.gz?venue=x-1&loop=true"), {
    kind: "file",
    text: "file:/a?b.gz?venue=x-1&loop=true",
    path: "/a?b.gz",
    venue: "x-1",
    loop: true,
  });
  const faults: [string, RegExp][] = [
    ["/tmp/x", /did you mean file:/],
    ["kafka:x", /must be file:/],
    ["file:", /names no path/],
    ["file:x?speed=2", /"speed"/],
    ["file:x?venue=BIG", /lower case/],
    ["file:x?loop=1", /true or false/],
    ["stdin:x", /nothing may follow/],
  ];
  for (const [spec, fault] of faults) t.match(parseSourceSpec(spec), { fault }, spec);
});
