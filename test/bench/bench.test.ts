import { test } from "tap";
import { Arrivals, Frames, payloadBytes } from "./load/message.ts";
import { type Round, spreadOf } from "./rounds.ts";
import { type Row, requireAll } from "./scenario/scenario.ts";
import { table } from "./table.ts";

const row: Row = {
  name: "r",
  text: "a row",
  subject: "disk",
  figure: "perSecond",
  ratio: true,
  unit: "×",
  better: "more",
  must: 2,
  aim: 3,
};
const round = (disk: number, mosquitto: number): Round => ({
  disk: { perSecond: disk },
  mosquitto: { perSecond: mosquitto },
});
const result = { sent: 4, measured: 0, elapsedMs: 1, brokerCpuUs: 0, generatorCpuUs: 0 };

test("the receiver tells every message of every publisher apart, and counts one that comes twice", (t) => {
  const arrivals = new Arrivals();
  for (const publisher of [0, 3]) {
    const bytes = new Frames("a/b", publisher, 1).next(100_000);
    const size = bytes.length / 100_000;
    for (let at = 0; at < bytes.length; at += size) arrivals.note(bytes, at + size - payloadBytes);
    arrivals.note(bytes, 70_000 * size + size - payloadBytes);
  }
  t.equal(arrivals.count, 200_000);
  t.equal(arrivals.repeated, 2);
  t.end();
});

test("a round with a missing or a repeated message is no result", (t) => {
  t.throws(
    () => requireAll({ ...result, expected: 4, arrived: 3, repeated: 0 }),
    /1 of 4 messages are missing/,
  );
  t.throws(
    () => requireAll({ ...result, expected: 4, arrived: 4, repeated: 1 }),
    /1 messages came more than once/,
  );
  t.doesNotThrow(() => requireAll({ ...result, expected: 4, arrived: 4, repeated: 0 }));
  t.end();
});

test("a ratio is taken within each round, and skipped where there is nothing to compare with", (t) => {
  t.same(spreadOf(row, [round(10, 10), round(100, 20), round(30, 10)]), { median: 3, min: 1, max: 5 });
  t.equal(spreadOf(row, [{ disk: { perSecond: 10 } }]), undefined);
  t.end();
});

test("the table says what a figure meets, and marks what got worse by more than 20 %", (t) => {
  const surroundings = { machine: "", date: "", node: "", mosquitto: null, fsyncMs: 1, loadBefore: 0 };
  const recorded = { surroundings, rows: { r: { median: 4, min: 4, max: 4 } } };
  const shown = (median: number): string => table([{ row, spread: { median, min: 1, max: 9 } }], recorded);
  t.match(shown(3.3), /\| aim +\|$/);
  t.match(shown(3), /\| aim; WORSE by 25 % +\|$/);
  t.match(shown(2.5), /\| must; WORSE by 38 % +\|$/);
  t.match(shown(1.9), /\| MISSED; WORSE by 53 % +\|$/);
  t.match(table([{ row, spread: undefined }], undefined), /\| skipped +\|/);
  t.end();
});
