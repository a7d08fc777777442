import { topicFault } from "@equipoise/shared";
import fc from "fast-check";
import { generate, type IPublishPacket, parser } from "mqtt-packet";
import { test } from "tap";
import type { Output } from "../../broker/src/gate/output.ts";
import { Output as RealOutput } from "../../broker/src/gate/output.ts";
import { bodyOf, type Chunk, ChunkBuilder } from "../../broker/src/journal/chunk.ts";
import { Indexes, Slice } from "../../broker/src/journal/slice.ts";

/** An output whose socket keeps what it is given. */
function collect(write: (output: Output) => void): IPublishPacket[] {
  const sent: Buffer[] = [];
  const socket = {
    writableLength: 0,
    write(bytes: Buffer, done: () => void) {
      sent.push(Buffer.from(bytes));
      done();
    },
  };
  const output = new RealOutput(socket as never, {
    onDirty: () => {},
    onOverflow: () => {},
    maxAnswerBytes: 1_024,
    maxPendingBytes: 1_024,
  });
  write(output);
  output.flush();
  const packets: IPublishPacket[] = [];
  const reader = parser();
  reader.on("packet", (packet) => packets.push(packet as IPublishPacket));
  reader.parse(Buffer.concat(sent));
  return packets;
}

function chunkOf(messages: readonly { topic: string; payload: Buffer; qos: 0 | 1 | 2 }[]): Chunk {
  const builder = new ChunkBuilder(64);
  for (const { topic, payload, qos } of messages) {
    const frame = generate({ cmd: "publish", topic, payload, qos, messageId: 7, dup: false, retain: false });
    if (qos === 0) builder.addFrameWithoutId(frame, 0, bodyOf(frame, 0), frame.length);
    else builder.addFrame(frame, 0, frame.length);
  }
  return builder.finish(1);
}

const messages = fc.array(
  fc.record({
    topic: fc.string({ minLength: 1, maxLength: 60 }).filter((topic) => topicFault(topic) === undefined),
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  }),
  { minLength: 1, maxLength: 40 },
);

test("a message leaves with the topic and payload it came with, at any QoS, by an independent parser", async (t) => {
  const property = fc.property(messages, fc.constantFrom(0, 1, 2), fc.boolean(), (items, granted, dup) => {
    const chunk = chunkOf(items);
    const packets = collect((output) => {
      for (let index = 0; index < chunk.count; index++) {
        const qos = Math.min(chunk.qosOf(index), granted);
        output.message(chunk, index, { qos, dup: dup && qos > 0, retain: false, packetId: 300 + index });
      }
    });
    return packets.every((packet, index) => {
      const item = items[index];
      const qos = Math.min(item?.qos ?? 0, granted);
      return (
        packet.topic === item?.topic &&
        Buffer.compare(Buffer.from(packet.payload), item.payload) === 0 &&
        packet.qos === qos &&
        packet.dup === (dup && qos > 0) &&
        (qos === 0 || packet.messageId === 300 + index)
      );
    });
  });
  fc.assert(property, { numRuns: 200 });
  t.pass("200 chunks");
});

test("a chunk that was let go is the same when its bytes are loaded again", async (t) => {
  const items = [
    { topic: "a", payload: Buffer.alloc(0), qos: 1 as const },
    { topic: "b/c", payload: Buffer.alloc(200, 7), qos: 0 as const },
    { topic: "d", payload: Buffer.alloc(20_000, 8), qos: 2 as const },
  ];
  const chunk = chunkOf(items);
  const bytes = Buffer.from(chunk.bytes as Buffer);
  chunk.hold();
  chunk.release();
  t.equal(chunk.loaded, false, "nobody holds a durable chunk: its bytes are gone");
  t.throws(() => chunk.topicOf(0), /not in memory/);
  chunk.load(bytes);
  t.same(
    items.map((_, index) => [chunk.topicOf(index), chunk.payloadOf(index).length, chunk.qosOf(index)]),
    items.map(({ topic, payload, qos }) => [topic, payload.length, qos]),
  );
});

test("a slice's bitmap names exactly what is not settled, whatever was settled in whatever order", async (t) => {
  const property = fc.property(
    fc.integer({ min: 1, max: 70 }),
    fc.infiniteStream(fc.boolean()),
    fc.infiniteStream(fc.boolean()),
    (count, chosen, settled) => {
      const chunk = chunkOf(
        Array.from({ length: count }, () => ({ topic: "t", payload: Buffer.alloc(1), qos: 1 as const })),
      );
      const indexes = new Indexes();
      const wanted = Array.from({ length: count }, (_, index) => index).filter(() => chosen.next().value);
      for (const index of wanted) indexes.add(index);
      if (wanted.length === 0) return true;
      const slice = new Slice(chunk, indexes);
      const open = wanted.filter((index) => {
        if (settled.next().value) return true;
        slice.settle(index);
        return false;
      });
      if (open.length === 0) return slice.unsettled === 0;
      const again = Slice.recovered(chunk, slice.unsettledBits());
      return JSON.stringify(Array.from({ length: again.count }, () => again.take())) === JSON.stringify(open);
    },
  );
  fc.assert(property, { numRuns: 300 });
  t.pass("300 slices");
});
