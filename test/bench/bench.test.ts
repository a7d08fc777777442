import { test } from "tap";
import { Completions, distributionEfficiency, jainIndex, quantile } from "./balance/completions.ts";
import { Stage } from "./balance/stage.ts";
import { Arrivals, Frames, payloadBytes } from "./load/message.ts";
import { type Round, spreadOfRow } from "./rounds.ts";
import { type Row, requireAll } from "./scenario/scenario.ts";
import { startSubject } from "./subject/start.ts";
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
const result = { sent: 4, measured: 0, elapsedMs: 1, brokerCpuUs: 0, othersCpuUs: [], generatorCpuUs: 0 };

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
  t.same(spreadOfRow(row, [round(10, 10), round(100, 20), round(30, 10)]), { median: 3, min: 1, max: 5 });
  t.equal(spreadOfRow(row, [{ disk: { perSecond: 10 } }]), undefined);
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

test("the members' completions are told apart by number: the first one counts, the others are repeats", (t) => {
  const completions = new Completions();
  const report = (numbers: number[], completedUs: number[]) => ({
    numbers: Uint32Array.from(numbers),
    intendedUs: Float64Array.from(numbers, () => 5),
    completedUs: Float64Array.from(completedUs),
  });
  completions.add(0, report([1, 2], [40, 50]));
  completions.add(1, report([2, 3], [30, 60]));
  t.equal(completions.count, 3);
  t.equal(completions.repeated, 1);
  t.same(completions.counts(5, 3), [1, 2, 0]);
  t.same(completions.counts(6, 3), [0, 0, 0]);
  const latenciesUs = completions.all.map(({ intendedUs, completedUs }) => completedUs - intendedUs);
  t.equal(quantile(latenciesUs, 0.5), 35);
  t.equal(quantile(latenciesUs, 1), 55);
  t.end();
});

test("shares like the capacities are efficient, equal counts are fair", (t) => {
  t.equal(distributionEfficiency([30, 10], [3, 1]), 1);
  t.equal(distributionEfficiency([20, 20], [3, 1]), 0.75);
  t.equal(distributionEfficiency([0, 40], [1, 0]), 0);
  t.equal(jainIndex([7, 7, 7, 7]), 1);
  t.equal(jainIndex([7, 0, 0, 0]), 0.25);
  t.end();
});

test("members that are processes complete each message once, none faster than its service time", async (t) => {
  const stage = new Stage(await startSubject("memory"), [2, 20]);
  t.teardown(() => stage.stop());
  await stage.start();
  const [fast = 0, slow = 0] = await stage.capacities();
  t.ok(slow > 0 && slow <= 51 && fast > slow && fast <= 510, `${fast} and ${slow} a second`);
  await stage.join();
  const { count, fromUs, completions } = await stage.run({ rate: 300, durationMs: 1_000, seed: 3 });
  t.equal(completions.count, count);
  t.equal(completions.repeated, 0);
  const [byFast = 0, bySlow = 0] = completions.counts(fromUs, 2);
  t.equal(byFast + bySlow, count);
  t.ok(byFast > bySlow && bySlow > 0, `${byFast} and ${bySlow}`);
  t.notOk(completions.all.some(({ intendedUs, completedUs }) => completedUs < intendedUs));
});
