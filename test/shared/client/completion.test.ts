import type { TickRecord } from "@equipoise/shared";
import fc from "fast-check";
import { test } from "tap";
import { Completion, type Filler, noFiller } from "../../../shared/src/client/completion.ts";
import { GapFiller } from "../../../shared/src/client/gap-filler.ts";
import { FakeClock } from "../../agent/support.ts";
import { gap, topic, trade } from "./fixtures.ts";

/** An agent that still has these records. */
function keeper(records: readonly TickRecord[], asked: string[] = []): Filler {
  return new GapFiller({
    ask: async (_, body) => {
      const { epoch, fromSeq, toSeq } = body as { epoch: string; fromSeq: number; toSeq: number };
      asked.push(`${epoch} ${fromSeq} to ${toSeq}`);
      const kept = records.filter(
        (record) => record.epoch === epoch && record.seq >= fromSeq && record.seq <= toSeq,
      );
      return { records: kept, outcome: { nextSeq: null } };
    },
    clock: new FakeClock(),
    onEvent: () => {},
  });
}

/** Reads records as a consumer does, each once; what is handled and what is told, as text. */
function reader(filler: Filler) {
  const log: string[] = [];
  const handled = new Set<string>();
  let failing: string | undefined;
  const name = ({ epoch, seq }: TickRecord): string => `${epoch === "01J" ? "" : `${epoch}/`}${seq}`;
  const completion = new Completion(filler, ({ reason, fromSeq, toSeq, count }) => {
    log.push(`${reason} ${fromSeq === undefined ? count : `${fromSeq}-${toSeq}`}`);
  });
  const handle = (record: TickRecord): void => {
    if (failing === name(record)) {
      failing = undefined;
      throw new Error("once");
    }
    if (!handled.has(name(record))) log.push(name(record));
    handled.add(name(record));
  };
  const read = async (...records: TickRecord[]): Promise<string[]> => {
    log.length = 0;
    for (const record of records) {
      for await (const earlier of completion.before(topic, record)) handle(earlier);
      handle(record);
    }
    return [...log];
  };
  const failOnce = (record: string): void => {
    failing = record;
  };
  return { read, failOnce };
}

test("a hole is asked for at once and filled in order; what was filled is not told when it comes late", async (t) => {
  const asked: string[] = [];
  const { read } = reader(
    keeper(
      [2, 3, 4].map((seq) => trade(seq)),
      asked,
    ),
  );
  t.same(await read(trade(1), trade(5)), ["1", "2", "3", "4", "5"]);
  t.same(await read(trade(3), trade(2), trade(6), trade(4)), ["6"]);
  t.same(asked, ["01J 2 to 4"]);
});

test("live ticks and backlog in turns: each hole is asked for once, and nothing is told that comes", async (t) => {
  const asked: string[] = [];
  const backlog = [2, 3, 4, 5].map((seq) => trade(seq));
  const { read } = reader(keeper(backlog, asked));
  const turns = [trade(1), trade(6), trade(2), trade(7), trade(3), trade(8), trade(4), trade(5), trade(9)];
  t.same(await read(...turns), ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  t.same(asked, ["01J 2 to 5"]);
});

test("evicted ticks are told once, whether their gap record comes before, with or after the answer", async (t) => {
  const evicted = gap(9, { count: 3, fromSeq: 2, toSeq: 4 });
  const kept = [trade(5), trade(6)];
  const after = reader(keeper(kept));
  t.same(await after.read(trade(1), trade(7), trade(8), evicted, trade(10)), [
    "1",
    "hole 2-4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
  ]);
  const within = reader(keeper([...kept, trade(7), trade(8), evicted]));
  t.same(await within.read(trade(1), trade(10)), ["1", "evicted 2-4", "5", "6", "7", "8", "9", "10"]);
  const before = reader(keeper(kept));
  t.same(await before.read(trade(1), evicted, trade(10)), [
    "1",
    "evicted 2-4",
    "5",
    "6",
    "hole 7-8",
    "9",
    "10",
  ]);
});

test("a gap record that fills a hole is told like any other, and once", async (t) => {
  const feed = gap(3, { reason: "feed", count: 7 });
  const { read } = reader(keeper([trade(2), feed, trade(4)]));
  t.same(await read(trade(1), trade(5), feed, feed), ["1", "2", "feed 7", "3", "4", "5"]);
});

test("over a change of epoch: the end of the one before is asked for and told before the first of the next", async (t) => {
  const corrupt = gap(1, { epoch: "01K", reason: "corrupt", ofEpoch: "01J", toSeq: 300 });
  const asked: string[] = [];
  const { read } = reader(keeper([trade(12), corrupt], asked));
  t.same(await read(trade(10), corrupt, trade(2, { epoch: "01K" })), [
    "10",
    "corrupt 11-11",
    "12",
    "corrupt 13-300",
    "01K/1",
    "01K/2",
  ]);
  t.same(asked, ["01J 11 to 300"]);
  const lost = reader(keeper([trade(12), corrupt]));
  t.same(
    await lost.read(trade(10), trade(2, { epoch: "01K" }), trade(11)),
    ["10", "corrupt 11-11", "12", "corrupt 13-300", "01K/1", "01K/2", "11"],
    "also when the record that tells it was lost on the way",
  );
});

test("nobody to ask: holes are told at once, late records are handled, nothing twice", async (t) => {
  const { read } = reader(noFiller);
  t.same(await read(trade(1), trade(5), trade(3), trade(3), trade(6)), ["1", "hole 2-4", "5", "3", "6"]);
});

test("an attempt that fails goes on where it was: nothing is told or handled twice, nothing left out", async (t) => {
  const kept = [trade(3), gap(4, { reason: "feed", count: 7 }), trade(6)];
  for (const place of ["3", "4", "6", "8"]) {
    const { read, failOnce } = reader(keeper(kept));
    failOnce(place);
    const first: string[] = [];
    await t.rejects(
      read(trade(1), trade(8)).catch((error) => Promise.reject(error)),
      /once/,
    );
    first.push(...(await read(trade(8))));
    const all = ["1", "hole 2-2", "3", "feed 7", "4", "hole 5-5", "6", "hole 7-7", "8"];
    t.same(all.slice(-first.length), first, `failed at ${place}`);
    t.equal(first[0], place === "4" ? "4" : (first[0] ?? ""));
  }
});

test("whatever is lost, kept, repeated and late: every number is handled or told, none is told twice", async (t) => {
  const numbers = fc.uniqueArray(fc.integer({ min: 2, max: 39 }), { maxLength: 38 });
  await fc.assert(
    fc.asyncProperty(numbers, numbers, numbers, async (lost, kept, late) => {
      const { read } = reader(keeper(kept.toSorted((a, b) => a - b).map((seq) => trade(seq))));
      const arriving = Array.from({ length: 40 }, (_, index) => index + 1).filter(
        (seq) => !lost.includes(seq),
      );
      const log = await read(...[...arriving, ...late].map((seq) => trade(seq)));
      const told = log.flatMap((line) => {
        const [, from, to] = /^hole (\d+)-(\d+)$/.exec(line) ?? [];
        return Array.from({ length: Number(to ?? -1) - Number(from ?? 0) + 1 }, (_, n) => Number(from) + n);
      });
      const expected = lost.filter((seq) => !kept.includes(seq)).toSorted((a, b) => a - b);
      t.same(told, expected);
      const handled = log.filter((line) => /^\d+$/.test(line)).map(Number);
      const present = new Set([...arriving, ...late, ...lost.filter((seq) => kept.includes(seq))]);
      t.same(
        handled.toSorted((a, b) => a - b),
        [...present].toSorted((a, b) => a - b),
      );
      const inOrder = handled.filter((seq) => !late.includes(seq) || !expected.includes(seq));
      t.same(
        inOrder,
        inOrder.toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 150 },
  );
});

test("an open end of an epoch is not told when what fills a hole tells how it ended", async (t) => {
  const told = gap(1, { epoch: "01K", reason: "corrupt", ofEpoch: "01J", toSeq: 2 });
  const { read } = reader(keeper([trade(2), told]));
  t.same(await read(trade(1), trade(2, { epoch: "01K" })), ["1", "2", "01K/1", "01K/2"]);
  const { read: readAlone } = reader(noFiller);
  t.same(await readAlone(trade(1), trade(2, { epoch: "01K" })), [
    "1",
    "hole 1-1",
    "epoch 2-undefined",
    "01K/2",
  ]);
});
