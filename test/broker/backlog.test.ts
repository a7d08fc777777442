import { join } from "node:path";
import { systemClock } from "@equipoise/shared";
import { type Test, test } from "tap";
import type { Journal } from "../../broker/src/journal/journal.ts";
import { MemoryJournal } from "../../broker/src/journal/memory.ts";
import { SqliteJournal } from "../../broker/src/journal/sqlite.ts";
import { Backlog, type BacklogLimits } from "../../broker/src/pool/backlog.ts";
import type { Delivery } from "../../broker/src/pool/delivery.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { append, makeChunk, wholeSlice } from "./journal-conformance.ts";

const roomy: BacklogLimits = { maxBytes: 2 ** 30, maxHotBytes: 2 ** 20 };
const fail = (error: Error): never => {
  throw error;
};

function inMemory(limits: Partial<BacklogLimits> = {}, onPressed?: (pressed: boolean) => void) {
  const journal = new MemoryJournal();
  const backlog = new Backlog({
    limits: { ...roomy, ...limits },
    journal,
    queue: undefined,
    onReady: () => {},
    onReadFailed: fail,
    ...(onPressed === undefined ? {} : { onPressed }),
  });
  const push = (...texts: string[]): void => backlog.push(wholeSlice(makeChunk(journal, texts)));
  return { backlog, push };
}

const textOf = (delivery: Delivery | undefined): string | undefined =>
  delivery?.chunk.payloadOf(delivery.index).toString();

test("messages leave in the order in which they came; one that comes back is the next", async (t) => {
  const { backlog, push } = inMemory();
  push("m0", "m1");
  push("m2");
  const first = backlog.take() as Delivery;
  const second = backlog.take() as Delivery;
  t.same([textOf(first), textOf(second)], ["m0", "m1"]);
  backlog.putBack(second);
  backlog.putBack(first);
  t.same(
    [0, 1, 2, 3].map(() => textOf(backlog.take())),
    ["m0", "m1", "m2", undefined],
  );
  t.same([backlog.waiting, backlog.inFlight], [0, 3]);
});

test("bytes are charged until a whole slice is settled", async (t) => {
  const { backlog, push } = inMemory();
  push("m0", "m1");
  const all = [backlog.take(), backlog.take()] as Delivery[];
  t.ok(backlog.byteLength > 0);
  for (const delivery of all) backlog.settle(delivery);
  t.same([backlog.byteLength, backlog.inFlight, backlog.settled], [0, 0, 2]);
});

test("over its bytes the oldest slices go, those in flight stay", async (t) => {
  const { backlog, push } = inMemory({ maxBytes: 100 });
  push("first");
  const held = backlog.take() as Delivery;
  for (let number = 0; number < 20; number++) push(`message ${number}`);
  t.equal(backlog.full, true);
  const dropped = backlog.dropOldest();
  t.equal(backlog.full, false);
  t.equal(backlog.waiting, 20 - dropped);
  t.equal(textOf(backlog.take()), `message ${dropped}`, "the newest are kept");
  backlog.settle(held);
  t.equal(backlog.dropped, dropped);
});

test("what came back is older than what never went out, and is dropped first", async (t) => {
  const { backlog, push } = inMemory({ maxBytes: 250 });
  const text = (number: number): string => `m${number}`.padEnd(40, ".");
  for (let number = 0; number < 5; number++) push(text(number));
  const taken = [backlog.take(), backlog.take(), backlog.take()] as Delivery[];
  for (const delivery of taken.reverse()) backlog.putBack(delivery);
  for (let number = 5; number < 8; number++) push(text(number));
  const dropped = backlog.dropOldest();
  t.ok(dropped > 0 && dropped < 8);
  t.equal(textOf(backlog.take()), text(dropped), "the newest are kept");
});

test("it is pressed above the high-water mark and relieved only below the low one", async (t) => {
  const changes: boolean[] = [];
  const { backlog, push } = inMemory({ maxBytes: 1_000 }, (pressed) => changes.push(pressed));
  let relieved = 0;
  const payload = "x".repeat(100);
  for (let number = 0; number < 8; number++) push(payload);
  t.same([changes, backlog.pressed], [[true], true]);
  backlog.whenRelieved(() => relieved++);
  for (let number = 0; number < 3; number++) backlog.settle(backlog.take() as Delivery);
  t.equal(relieved, 0, "still above the low-water mark");
  for (let number = 0; number < 2; number++) backlog.settle(backlog.take() as Delivery);
  t.same([changes, relieved], [[true, false], 1]);
});

async function onDisk(t: Test, limits: Partial<BacklogLimits>) {
  const path = join(await temporaryDirectory(t), "journal.db");
  const journal: Journal = new SqliteJournal({ path, clock: systemClock, onSetAside: () => {} });
  await journal.start();
  t.teardown(() => journal.stop());
  const queue = journal.openQueue("p", "t");
  let ready = (): void => {};
  const backlog = new Backlog({
    limits: { ...roomy, ...limits },
    journal,
    queue,
    onReady: () => ready(),
    onReadFailed: fail,
  });
  const push = async (...texts: string[]): Promise<void> => {
    const chunk = makeChunk(journal, texts);
    const slice = wholeSlice(chunk);
    await append(journal, chunk, [{ queue, slice }]);
    chunk.hold();
    backlog.push(slice);
    chunk.release();
  };
  const take = async (): Promise<Delivery> => {
    for (;;) {
      const loaded = new Promise<void>((resolve) => {
        ready = resolve;
      });
      const delivery = backlog.take();
      if (delivery !== undefined) return delivery;
      await loaded;
    }
  };
  return { backlog, push, take };
}

test("a long backlog leaves its tail on disk and delivers it in order all the same", async (t) => {
  const { backlog, push, take } = await onDisk(t, { maxHotBytes: 2_000 });
  const payload = (number: number): string => `${number}`.padEnd(100, ".");
  for (let chunk = 0; chunk < 50; chunk++) await push(payload(chunk * 2), payload(chunk * 2 + 1));
  t.ok(backlog.hotBytes <= 2_500, `${backlog.hotBytes} bytes of ${backlog.byteLength} are in memory`);
  const held: Delivery[] = [];
  for (let number = 0; number < 100; number++) {
    const delivery = await take();
    t.equal(textOf(delivery), payload(number));
    held.push(delivery);
    t.ok(backlog.hotBytes <= 4_000);
    if (held.length === 3) for (const done of held.splice(0)) backlog.settle(done);
  }
  for (const done of held) backlog.settle(done);
  t.same([backlog.waiting, backlog.inFlight, backlog.byteLength], [0, 0, 0]);
});

test("dropping the oldest of a backlog whose tail is on disk keeps the rest deliverable", async (t) => {
  const { backlog, push, take } = await onDisk(t, { maxHotBytes: 500, maxBytes: 2_000 });
  for (let number = 0; number < 40; number++) await push(`${number}`.padEnd(100, "."));
  const dropped = backlog.dropOldest();
  t.ok(dropped > 15, `${dropped} of 40 dropped`);
  for (let number = dropped; number < 40; number++) {
    const delivery = await take();
    t.equal(textOf(delivery), `${number}`.padEnd(100, "."));
    backlog.settle(delivery);
  }
});
