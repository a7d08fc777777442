/** What every journal must do; run against each implementation. */
import type { Test } from "tap";
import { type Chunk, ChunkBuilder, encodePublish } from "../../broker/src/journal/chunk.ts";
import type { Journal, QueueId, RecoveredQueue, Recovery } from "../../broker/src/journal/journal.ts";
import { Indexes, Slice } from "../../broker/src/journal/slice.ts";

export interface Bench {
  /** A journal on the same store as the one before it. */
  open(): Journal;
  /** It remembers after it was stopped. */
  durable: boolean;
  /** Present where queues are fed from an engine that several brokers share, instead of being told at the start. */
  fed?: FedBench;
}

export interface FedBench {
  openQueue(journal: Journal, pool: string, filter: string): QueueId;
  /** What was appended, as the queue's broker is given it. */
  given(journal: Journal, queue: QueueId): Promise<Slice>;
  /** Starts a journal and has it bring everything. */
  recover(journal: Journal): Promise<Recovery>;
}

/** Starts a journal; what it has kept. */
const recover = ({ fed }: Bench, journal: Journal): Promise<Recovery> =>
  fed === undefined ? journal.start() : fed.recover(journal);

const openQueue = ({ fed }: Bench, journal: Journal, pool: string, filter: string): QueueId =>
  fed === undefined ? journal.openQueue(pool, filter) : fed.openQueue(journal, pool, filter);

/** The slice to be settled: the appended one itself, where it does not go through an engine. */
const given = async ({ fed }: Bench, journal: Journal, queue: QueueId, slice: Slice): Promise<Slice> =>
  fed === undefined ? slice : fed.given(journal, queue);

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
    const bench = await makeBench(t);
    const journal = bench.open();
    await journal.start();
    const queue = openQueue(bench, journal, "p", "t");
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
    const a = openQueue(bench, first, "a", "t/#");
    const b = openQueue(bench, first, "b", "t/#");
    const one = makeChunk(first, ["m0", "m1", "m2", "m3"]);
    const forA = wholeSlice(one);
    await append(first, one, [
      { queue: a, slice: forA },
      { queue: b, slice: wholeSlice(one, [1, 3]) },
    ]);
    const two = makeChunk(first, ["m4"]);
    const forB = wholeSlice(two);
    await append(first, two, [{ queue: b, slice: forB }]);
    const givenA = await given(bench, first, a, forA);
    for (const index of [0, 2]) {
      givenA.settle(index);
      first.settled(a, givenA);
    }
    await first.stop();
    const second = bench.open();
    const recovered = await recover(bench, second);
    const expected = bench.durable ? { "a t/#": ["m1", "m3"], "b t/#": ["m1", "m3", "m4"] } : {};
    t.same(await textsOf(second, recovered), expected);
    const positionsMatter = bench.durable && bench.fed === undefined;
    t.ok(!positionsMatter || second.nextId() > two.id, "positions go on growing");
    await second.stop();
  });

  t.test("a chunk goes when the last queue has settled it", async (t) => {
    const bench = await makeBench(t);
    const journal = bench.open();
    await journal.start();
    const [a, b] = [openQueue(bench, journal, "a", "t"), openQueue(bench, journal, "b", "t")];
    const chunk = makeChunk(journal, ["m0", "m1"]);
    const appended = [wholeSlice(chunk), wholeSlice(chunk)] as const;
    await append(journal, chunk, [
      { queue: a, slice: appended[0] },
      { queue: b, slice: appended[1] },
    ]);
    const slices = [
      await given(bench, journal, a, appended[0]),
      await given(bench, journal, b, appended[1]),
    ] as const;
    for (const index of [0, 1]) if (slices[0].settle(index)) journal.settled(a, slices[0]);
    t.equal(journal.stats().chunks, bench.durable ? 1 : 0);
    for (const index of [1, 0]) if (slices[1].settle(index)) journal.settled(b, slices[1]);
    t.equal(journal.stats().chunks, 0);
    await journal.stop();
    const again = bench.open();
    const { queues } = await recover(bench, again);
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
    const queue = openQueue(bench, journal, "gone", "t");
    const chunk = makeChunk(journal, ["m0"]);
    const appended = wholeSlice(chunk);
    await append(journal, chunk, [{ queue, slice: appended }]);
    const slice = await given(bench, journal, queue, appended);
    slice.unsettled = 0;
    journal.settled(queue, slice);
    journal.closeQueue(queue);
    await journal.stop();
    const again = bench.open();
    t.same((await recover(bench, again)).queues, []);
    await again.stop();
  });

  t.test("a chunk that nobody is owed keeps its place in the order and leaves nothing behind", async (t) => {
    const bench = await makeBench(t);
    const journal = bench.open();
    await journal.start();
    const queue = openQueue(bench, journal, "p", "t");
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
    const texts = await textsOf(again, await recover(bench, again));
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
      const { retained, sessions } = await recover(bench, again);
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
    const queue = openQueue(bench, journal, "p", "t");
    const chunk = makeChunk(journal, ["m0"]);
    const indexes = new Indexes();
    indexes.add(0);
    await append(journal, chunk, [{ queue, slice: new Slice(chunk, indexes, { qosCap: 0 }) }]);
    await journal.stop();
    const again = bench.open();
    const caps = (await recover(bench, again)).queues.flatMap(({ slices }) =>
      slices.map(({ qosCap }) => qosCap),
    );
    t.same(caps, bench.durable ? [0] : []);
    await again.stop();
  });
}

const flush = (journal: Journal): Promise<void> =>
  new Promise((resolve, reject) => journal.flush((error) => (error ? reject(error) : resolve())));
