import { stripVTControlCharacters } from "node:util";
import { test } from "tap";
import {
  type StreamRow,
  StreamTable,
  showDuration,
} from "../../../shared/src/client/command/stream-table.ts";

const row: StreamRow = {
  venue: "binance",
  symbol: "BTCUSDT",
  agent: "pi-7",
  price: "61837.63000000",
  size: "0.02000000",
  side: "sell",
  seq: 1_042,
  ticksPerS: 12.34,
  latencyMs: 3,
};
const render = (rows: StreamRow[], width: number, height = 20, table = new StreamTable()) =>
  table.render(rows, width, height).map(stripVTControlCharacters);

test("120 columns show everything, aligned", async (t) => {
  t.same(
    render(
      [row, { ...row, symbol: "ETHUSDT", price: "2.5", side: "buy", seq: 7, latencyMs: undefined }],
      119,
    ),
    [
      "venue    symbol   agent           price        size  side   seq  ticks/s  latency",
      "binance  BTCUSDT  pi-7   61837.63000000  0.02000000  sell  1042     12.3     3 ms",
      "binance  ETHUSDT  pi-7              2.5  0.02000000  buy      7     12.3         ",
    ],
  );
});

test("a narrower terminal loses the least important columns, and no line is ever too long", async (t) => {
  for (let width = 1; width <= 100; width += 1) {
    const lines = render([row], width);
    t.ok(
      lines.every((line) => line.length <= width),
      `${width} columns`,
    );
  }
  t.same(render([row], 79)[0], "venue    symbol            price        size  side   seq  ticks/s  latency");
  t.equal(render([row], 45)[0], "symbol            price  ticks/s  latency");
});

test("more streams than lines are counted in the last one", async (t) => {
  const rows = Array.from({ length: 10 }, (_, index) => ({ ...row, symbol: `S${index}` }));
  const lines = render(rows, 100, 5);
  t.equal(lines.length, 5);
  t.equal(lines.at(-1), "… and 7 more streams");
  t.equal(render(rows, 100, 11).length, 11);
});

test("columns grow when they must and never jump back", async (t) => {
  const table = new StreamTable();
  const before = render([{ ...row, price: "1" }], 100, 9, table)[0];
  const grown = render([row], 100, 9, table)[0];
  t.not(before, grown);
  t.equal(render([{ ...row, price: "1" }], 100, 9, table)[0], grown);
});

test("durations are short for people", async (t) => {
  const shown = [undefined, 0.4, 999, 1_234, -1_234, 99_900, 600_000, 7_200_000, 864_000_000].map(
    showDuration,
  );
  t.same(shown, ["", "0 ms", "999 ms", "1.2 s", "-1.2 s", "99.9 s", "10 min", "2 h", "10 d"]);
});
