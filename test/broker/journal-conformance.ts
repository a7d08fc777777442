/** What every journal must do; run against each implementation. */
import type { Test } from "tap";
import { type Chunk, ChunkBuilder, encodePublish } from "../../broker/src/journal/chunk.ts";
import type { Journal, RecoveredQueue } from "../../broker/src/journal/journal.ts";
import { Indexes, Slice } from "../../broker/src/journal/slice.ts";

export interface Bench {
  /** A journal on the same store as the one before it. */
  open(): Journal;
  /** It remembers after it was stopped. */
  durable: boolean;
}

export function makeChunk(journal: Journal, texts: readonly string[]): Chunk {
  const builder = new ChunkBuilder(64);
  for (const text of texts) {
    const frame = encodePublish("t", Buffer.from(text), { qos: 1, retain: false });
    builder.addFrame(frame, 0, frame.length);
  }
  return builder.finish(journal.nextId());
}

export function wholeSlice(chunk: Chunk, only?: readonly number[]): Slice {
  const indexes = new Indexes();
  for (let index = 0; index < chunk.count; index++) if (only?.includes(index) ?? true) indexes.add(index);
  return new Slice(chunk, indexes);
}

export const append = (
  journal: Journal,
  chunk: Chunk,
  owed: Parameters<Journal["append"]>[1],
): Promise<void> =>
  new Promise((resolve, reject) =>
    journal.append(chunk, owed, (error) => (error ? reject(error) : resolve())),
  );

/** The unsettled texts of each recovered queue, read back from the store. */
export async function textsOf(
  journal: Journal,
  { queues }: { queues: readonly RecoveredQueue[] },
): Promise<Record<string, string[]>> {
  const texts: Record<string, string[]> = {};
  for (const { pool, filter, slices } of queues) {
    const chunks = slices.map(({ chunk }) => chunk).filter(({ loaded }) => !loaded);
    await new Promise<void>((resolve, reject) =>
      journal.read(chunks, (error) => (error ? reject(error) : resolve())),
    );
    texts[`${pool} ${filter}`] = slices.flatMap((slice) =>
      Array.from({ length: slice.count }, () => slice.chunk.payloadOf(slice.take()).toString()),
    );
  }
  return texts;
}

export function journalConformance(t: Test, makeBench: (t: Test) => Promise<Bench>): void {
  t.test("appends are reported in the order in which they came", async (t) => {
    const journal = (await makeBench(t)).open();
    await journal.start();
    const queue = journal.openQueue("p", "t");
    const order: number[] = [];
    const all = Array.from({ length: 50 }, (_, number) => {
      const chunk = makeChunk(journal, [`m${number}`]);
      return append(journal, chunk, [{ queue, slice: wholeSlice(chunk) }]).then(() => order.push(number));
    });
    await Promise.all(all);
    t.same(
      order,
      order.toSorted((a, b) => a - b),
    );
    await journal.stop();
  });

  t.test("what is not settled comes back in order, to each queue what it is owed", async (t) => {
    const bench = await makeBench(t);
    const first = bench.open();
    t.same(await first.start(), { queues: [], retained: [], sessions: [] }, "a new store has nothing");
    const a = first.openQueue("a", "t/#");
    const b = first.openQueue("b", "t/#");
    const one = makeChunk(first, ["m0", "m1", "m2", "m3"]);
    const forA = wholeSlice(one);
    await append(first, one, [
      { queue: a, slice: forA },
      { queue: b, slice: wholeSlice(one, [1, 3]) },
    ]);
    const two = makeChunk(first, ["m4"]);
    const forB = wholeSlice(two);
    await append(first, two, [{ queue: b, slice: forB }]);
    for (const index of [0, 2]) {
      forA.settle(index);
      first.settled(a, forA);
    }
    await first.stop();
    const second = bench.open();
    const recovered = await second.start();
    const expected = bench.durable ? { "a t/#": ["m1", "m3"], "b t/#": ["m1", "m3", "m4"] } : {};
    t.same(await textsOf(second, recovered), expected);
    t.ok(bench.durable === false || second.nextId() > two.id, "positions go on growing");
    await second.stop();
  });

  t.test("a chunk goes when the last queue has settled it", async (t) => {
    const bench = await makeBench(t);
    const journal = bench.open();
    await journal.start();
    const [a, b] = [journal.openQueue("a", "t"), journal.openQueue("b", "t")];
    const chunk = makeChunk(journal, ["m0", "m1"]);
    const slices = [wholeSlice(chunk), wholeSlice(chunk)] as const;
    await append(journal, chunk, [
      { queue: a, slice: slices[0] },
      { queue: b, slice: slices[1] },
    ]);
    for (const index of [0, 1]) if (slices[0].settle(index)) journal.settled(a, slices[0]);
    t.equal(journal.stats().chunks, bench.durable ? 1 : 0);
    for (const index of [1, 0]) if (slices[1].settle(index)) journal.settled(b, slices[1]);
    t.equal(journal.stats().chunks, 0);
    await journal.stop();
    const again = bench.open();
    const { queues } = await again.start();
    t.ok(
      queues.every(({ slices: left }) => left.length === 0),
      "nothing is left to deliver",
    );
    await again.stop();
  });

  t.test("a closed queue is forgotten", async (t) => {
    const bench = await makeBench(t);
    const journal = bench.open();
    await journal.start();
    const queue = journal.openQueue("gone", "t");
    const chunk = makeChunk(journal, ["m0"]);
    const slice = wholeSlice(chunk);
    await append(journal, chunk, [{ queue, slice }]);
    slice.unsettled = 0;
    journal.settled(queue, slice);
    journal.closeQueue(queue);
    await journal.stop();
    const again = bench.open();
    t.same((await again.start()).queues, []);
    await again.stop();
  });

  t.test("a chunk that nobody is owed keeps its place in the order and leaves nothing behind", async (t) => {
    const bench = await makeBench(t);
    const journal = bench.open();
    await journal.start();
    const queue = journal.openQueue("p", "t");
    const first = makeChunk(journal, ["stored"]);
    const second = makeChunk(journal, ["passing"]);
    const order: string[] = [];
    await Promise.all([
      append(journal, first, [{ queue, slice: wholeSlice(first) }]).then(() => order.push("stored")),
      append(journal, second, []).then(() => order.push("passing")),
    ]);
    t.same(order, ["stored", "passing"]);
    await journal.stop();
    const again = bench.open();
    const texts = await textsOf(again, await again.start());
    t.same(texts, bench.durable ? { "p t": ["stored"] } : {});
    await again.stop();
  });

  t.test(
    "retained messages and sessions come back as they were last, what was forgotten does not",
    async (t) => {
      const bench = await makeBench(t);
      const journal = bench.open();
      await journal.start();
      journal.retain("a", Buffer.from("old"));
      journal.retain("b", Buffer.from("gone"));
      journal.keepSession("one", () => [["x/#", 1]]);
      journal.keepSession("two", () => []);
      await flush(journal);
      journal.retain("a", Buffer.from("new"));
      journal.retain("b", undefined);
      journal.keepSession("one", () => [
        ["x/#", 1],
        ["$share/p/y", 2],
      ]);
      journal.keepSession("two", undefined);
      await flush(journal);
      await journal.stop();
      const again = bench.open();
      const { retained, sessions } = await again.start();
      const kept = bench.durable;
      t.same(
        retained.map(({ topic, frame }) => [topic, frame.toString()]),
        kept ? [["a", "new"]] : [],
      );
      const one = {
        clientId: "one",
        subscriptions: [
          ["x/#", 1],
          ["$share/p/y", 2],
        ],
      };
      t.same(sessions, kept ? [one] : []);
      await again.stop();
    },
  );

  t.test("a slice comes back with the QoS that its receiver was granted", async (t) => {
    const bench = await makeBench(t);
    const journal = bench.open();
    await journal.start();
    const queue = journal.openQueue("p", "t");
    const chunk = makeChunk(journal, ["m0"]);
    const indexes = new Indexes();
    indexes.add(0);
    await append(journal, chunk, [{ queue, slice: new Slice(chunk, indexes, { qosCap: 0 }) }]);
    await journal.stop();
    const again = bench.open();
    const caps = (await again.start()).queues.flatMap(({ slices }) => slices.map(({ qosCap }) => qosCap));
    t.same(caps, bench.durable ? [0] : []);
    await again.stop();
  });
}

const flush = (journal: Journal): Promise<void> =>
  new Promise((resolve, reject) => journal.flush((error) => (error ? reject(error) : resolve())));
