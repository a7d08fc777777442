import { test } from "tap";
import { Batch, type NumberedTick } from "../../agent/src/buffer/batch.ts";
import type { Chunk } from "../../agent/src/buffer/chunk.ts";
import { LiveTicks } from "../../agent/src/buffer/live-ticks.ts";
import type { NumberedStream } from "../../agent/src/buffer/streams.ts";

const streamOf = (id: number): NumberedStream => ({
  ...{ id, venue: "v", symbol: `S${id}`, topic: `ticks/v/S${id}/pi-7`, lastTopic: `last/v/S${id}/pi-7` },
  ...{ seq: 0, reserved: 10_000, committedSeq: 0, takenSeq: undefined, lastPosition: 0, read: undefined },
});
const streams = [streamOf(0), streamOf(1)] as const;

/** Every second of each stream; lengths from nothing to beyond what a batch begins with, characters of one to four bytes. */
const tickAt = (position: number): NumberedTick => ({
  position,
  stream: streams[(position % 2) as 0 | 1],
  seq: Math.ceil(position / 2),
  payload: ["", "x", "é€", "𝄞"].map((text) => text.repeat((position * 37) % 501)).join(""),
  bufferedTimeMs: 1_700_000_000_000 + position,
  bufferedUptimeMs: position / 8,
});

function batchOf(from: number, to: number): Batch {
  const batch = new Batch();
  for (let position = from; position <= to; position += 1) batch.add(tickAt(position));
  return batch;
}

test("a batch gives every tick as it came, whatever its length and characters", (t) => {
  const batch = batchOf(7, 206);
  const expected = Array.from({ length: 200 }, (_, n) => tickAt(7 + n));
  t.same(
    expected.map((_, index) => batch.tick(index)),
    expected,
  );
  t.same(
    [...batch.ticksOf(streams[1])],
    expected.filter(({ stream }) => stream === streams[1]),
  );
  const { payloads, streamIds, ranges, first } = batch.chunk() as Chunk;
  t.equal(Buffer.from(payloads).toString(), expected.map(({ payload }) => `${payload}\n`).join(""));
  t.same([...streamIds].slice(0, 3), [1, 0, 1]);
  t.same([first, batch.end, batch.bytes], [7, 207, payloads.length]);
  t.same(ranges, [
    { streamId: 1, fromSeq: 4, toSeq: 103 },
    { streamId: 0, fromSeq: 4, toSeq: 103 },
  ]);
  t.throws(() => batch.add(tickAt(208)), /does not follow/);
  t.end();
});

test("what waits to be taken outlives its commit, and no longer", (t) => {
  const [one, two] = [batchOf(1, 0), batchOf(3, 2)];
  const live = new LiveTicks();
  for (const [batch, position] of [
    [one, 1],
    [one, 2],
    [two, 3],
  ] as const) {
    batch.add(tickAt(position));
    live.put(batch);
  }
  one.release(); // as after its commit
  two.release();
  t.same(
    [...live.firstSeqs()].map(([{ id }, seq]) => [id, seq]),
    [
      [1, 1],
      [0, 1],
    ],
  );
  t.same([live.take(), live.peek(), live.take()], [tickAt(1), tickAt(2), tickAt(2)]);
  t.throws(() => one.tick(1), RangeError, "its memory was given back");
  t.same([live.take(), live.take(), live.size, live.bytes], [tickAt(3), undefined, 0, 0]);
  t.throws(() => two.tick(0), RangeError);
  t.end();
});

test("a number that is not reserved keeps what is behind it", (t) => {
  const stream = { ...streamOf(3), reserved: 1 };
  const batch = new Batch();
  const live = new LiveTicks();
  for (const seq of [1, 2]) {
    batch.add({ ...tickAt(seq), stream, seq });
    live.put(batch);
  }
  t.equal(live.take()?.seq, 1);
  t.equal(live.take(), undefined);
  stream.reserved = 2;
  t.equal(live.take()?.seq, 2);
  t.end();
});

test("what was given back is not read any more, not even as nothing", (t) => {
  const batch = batchOf(1, 2);
  batch.release();
  t.throws(() => batch.chunk(), /given back/);
  t.throws(() => batch.tick(0), RangeError);
  t.end();
});
