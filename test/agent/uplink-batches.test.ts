import { decodePayload, encodeRecord, type TickRecord, type Trade } from "@equipoise/shared";
import { subscribe } from "@equipoise/shared/client";
import fc from "fast-check";
import { test } from "tap";
import type { BufferedTick } from "../../agent/src/buffer/queue.ts";
import { Batches, type Message } from "../../agent/src/uplink/batches.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { counting, startAgent, trade, tradeLine, until } from "./support.ts";
import { startUplink, streamOf, Ticks } from "./uplink-support.ts";

const streams = ["A", "B", "C"].map((symbol, index) => streamOf(symbol, index + 1));

/** Ticks of three streams in turn, with their own sequence. */
const recordTick = (position: number): BufferedTick => {
  const stream = streams[(position - 1) % 3] as (typeof streams)[0];
  const record: Trade = {
    ...trade(position, stream.symbol),
    type: "trade",
    agent: "pi-7",
    epoch: "e",
    seq: Math.ceil(position / 3),
  };
  return { position, stream, payload: encodeRecord(record), bufferedTimeMs: 5 };
};

test("whatever comes, each message is of one stream, in order, within its bounds, and none is forgotten", async (t) => {
  const limits = fc.record({
    lingerMs: fc.nat(3),
    maxBatch: fc.integer({ min: 1, max: 5 }),
    maxOpen: fc.integer({ min: 1, max: 3 }),
  });
  const arrivals = fc.array(fc.record({ stream: fc.nat(2), afterMs: fc.nat(2) }), { maxLength: 60 });
  fc.assert(
    fc.property(limits, arrivals, (bounds, ticks) => {
      const batches = new Batches(bounds);
      const out: Message[] = [];
      const due = (atMs: number): void => {
        for (let next = batches.takeDue(atMs); next !== undefined; next = batches.takeDue(atMs))
          out.push(next);
      };
      let nowMs = 0;
      for (const [index, { stream, afterMs }] of ticks.entries()) {
        nowMs += afterMs;
        due(nowMs);
        const tick = { position: index, stream: streams[stream] as never, payload: "x", bufferedTimeMs: 0 };
        const ready = batches.add({ tick, acknowledged: false }, nowMs);
        if (ready !== undefined) out.push(ready);
        if ((batches.dueMs ?? nowMs) < nowMs) return false;
      }
      due(Number.POSITIVE_INFINITY);
      const all = out.flatMap(({ entries }) => entries);
      return (
        all.length === ticks.length &&
        out.every(({ entries }) => entries.length <= bounds.maxBatch) &&
        out.every(({ topic, entries }) => entries.every(({ tick }) => tick.stream.topic === topic)) &&
        streams.every(({ topic }) => {
          const places = all
            .filter(({ tick }) => tick.stream.topic === topic)
            .map(({ tick }) => tick.position);
          return places.every((place, index) => index === 0 || place > (places[index - 1] ?? place));
        })
      );
    }),
  );
  t.pass("by property");
});

test("a full message is as long as it may be in bytes too", async (t) => {
  const batches = new Batches({ lingerMs: 60_000, maxBatch: 4_096, maxOpen: 10 });
  const [stream] = streams as [(typeof streams)[0]];
  const payload = "x".repeat(16_000);
  let position = 0;
  let message: Message | undefined;
  while (message === undefined) {
    position += 1;
    const tick = { position, stream, payload, bufferedTimeMs: 0 };
    message = batches.add({ tick, acknowledged: false }, 0);
  }
  t.ok(message.byteLength > 200_000 && message.byteLength < 512 * 1_024, `${message.byteLength}`);
});

test("with lingerMs ticks of a stream share messages, in order, and all are settled", async (t) => {
  const broker = await startReceivingBroker(t);
  const queue = new Ticks(3_000, recordTick);
  const { uplink } = startUplink(t, [broker.url], queue, { lingerMs: 10_000, maxBatch: 50 });
  await uplink.drained();
  t.equal(queue.settled, 3_000);
  t.equal(broker.ticks.length, 60, "full messages, for the ticks were at hand");
  for (const { topic } of streams) {
    const messages = broker.ticks.filter((packet) => packet.topic === topic);
    const records = messages.flatMap(({ payload }) => decodePayload(Buffer.from(payload)));
    t.same(
      records.map(({ seq }) => seq),
      counting(1, 1_000),
    );
  }
  t.match(uplink.stats(), { published: 3_000, acknowledged: 3_000, repeated: 0, inFlight: 0 });
});

test("a tick that stays alone goes out by itself after lingerMs, and at once without", async (t) => {
  for (const lingerMs of [0, 30]) {
    const broker = await startReceivingBroker(t);
    const { uplink } = startUplink(t, [broker.url], new Ticks(1, recordTick), { lingerMs });
    await uplink.drained();
    t.match(String(broker.ticks[0]?.payload), /^\{.*\}$/, "a record, no array");
  }
});

test("a stop sends what still collects", async (t) => {
  const broker = await startReceivingBroker(t);
  const queue = new Ticks(6, recordTick);
  const { uplink } = startUplink(t, [broker.url], queue, { lingerMs: 60_000 });
  await until(() => uplink.stats().inFlight === 6);
  t.equal(broker.ticks.length, 0);
  await uplink.drain(60_000);
  t.equal(queue.settled, 6);
  t.equal(broker.ticks.length, 3);
});

test("with protobuf the same records go out in a fraction of the bytes, alone and together", async (t) => {
  for (const lingerMs of [0, 10_000]) {
    const broker = await startReceivingBroker(t);
    const queue = new Ticks(300, recordTick);
    const { uplink } = startUplink(t, [broker.url], queue, { lingerMs, maxBatch: 50, payload: "protobuf" });
    await uplink.drained();
    const payloads = broker.ticks.map(({ payload }) => Buffer.from(payload));
    const expected = counting(1, 300).map((position) => recordTick(position).payload);
    t.same(payloads.flatMap(decodePayload).map(encodeRecord).toSorted(), expected.toSorted());
    const bytes = payloads.reduce((sum, { length }) => sum + length, 0);
    const jsonBytes = expected.join("").length;
    t.ok(bytes < jsonBytes / (lingerMs === 0 ? 2 : 4), `${bytes} bytes instead of ${jsonBytes}`);
  }
});

test("messages that a lost connection held come again as they were, before anything newer", async (t) => {
  const broker = await startReceivingBroker(t);
  broker.dropAfter = 7;
  const queue = new Ticks(900, recordTick);
  const { uplink } = startUplink(t, [broker.url], queue, { lingerMs: 1, maxBatch: 20 });
  await uplink.drained();
  t.ok(broker.connections.length > 5);
  for (const { topic } of streams) {
    let seen = 0;
    for (const { ticks } of broker.connections) {
      const packets = ticks.filter((packet) => packet.topic === topic);
      for (const { payload } of packets) {
        const seqs = decodePayload(Buffer.from(payload)).map(({ seq }) => seq);
        if ((seqs[0] ?? 0) > seen + 1) t.fail(`a hole between ${seen} and ${seqs[0]}`);
        seen = Math.max(seen, seqs.at(-1) ?? 0);
      }
    }
    t.equal(seen, 300, topic);
  }
});

for (const payload of ["json", "protobuf"])
  test(`an exclusive consumer reads ${payload} batches as if they were single records, without holes`, async (t) => {
    const broker = await startBroker(t, { args: ["--durability", "memory"] });
    const records: TickRecord[] = [];
    const missing: unknown[] = [];
    const consumer = subscribe({
      broker: broker.url,
      filter: "ticks/#",
      handler: (record) => void records.push(record),
      onGap: (gap) => void missing.push(gap),
    });
    await consumer.start();
    t.teardown(() => consumer.stop());
    const args = ["--source", "stdin:", "--once", "--uplink-linger-ms", "5", "--uplink-max-batch", "16"];
    args.push("--uplink-payload", payload);
    const agent = startAgent(t, await temporaryDirectory(t), broker.url, ...args);
    agent.child.stdin.end(
      counting(1, 500)
        .map((n) => tradeLine(n, n % 2 === 0 ? "A" : "B"))
        .join(""),
    );
    t.equal((await agent.exited).code, 0);
    await until(() => records.length === 500);
    t.same(missing, []);
    for (const symbol of ["A", "B"]) {
      const ours = records.filter((record) => record.type === "trade" && record.symbol === symbol);
      t.same(
        ours.map(({ seq }) => seq),
        counting(1, 250),
      );
    }
    t.ok(consumer.stats.received <= 100, `${consumer.stats.received} messages for 500 records`);
  });
