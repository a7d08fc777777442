import { once } from "node:events";
import { Duplex, duplexPair } from "node:stream";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { test } from "tap";
import { Frames } from "../../agent/src/uplink/frames.ts";
import { Lane } from "../../agent/src/uplink/lane.ts";
import { ControlIds, lastTickId, TickIds } from "../../agent/src/uplink/packet-ids.ts";
import { Publisher } from "../../agent/src/uplink/publisher.ts";
import { Splitter } from "../../agent/src/uplink/splitter.ts";
import { FakeClock, until } from "./support.ts";
import { Ticks } from "./uplink-support.ts";

const seed = 20_251_121;

const puback = (messageId: number): Buffer => generate({ cmd: "puback", messageId });
const publish = (topic: string, payload: string | Buffer, messageId: number): Buffer =>
  generate({ cmd: "publish", topic, payload, messageId, qos: 1, dup: false, retain: false });

/** What a splitter makes of these chunks. */
function split(chunks: readonly Buffer[]): { acknowledged: number[]; other: Buffer } {
  const acknowledged: number[] = [];
  const others: Buffer[] = [];
  let counted = 0;
  const splitter = new Splitter({
    acknowledged: (packetId) => acknowledged.push(packetId),
    other: (bytes) => others.push(bytes),
  });
  for (const chunk of chunks) counted += splitter.take(chunk);
  if (counted !== acknowledged.length) throw new Error(`counted ${counted} of ${acknowledged.length}`);
  return { acknowledged, other: Buffer.concat(others) };
}

const cut = (bytes: Buffer, places: readonly number[]): Buffer[] => {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), 0, bytes.length];
  ends.sort((a, b) => a - b);
  return ends.slice(1).map((end, index) => bytes.subarray(ends[index], end));
};

test("of any packets, cut anywhere, mqtt.js gets every byte but the PUBACKs of ticks, which come in order", (t) => {
  const tickAck = fc.integer({ min: 1, max: lastTickId }).map((id) => ({ id, bytes: puback(id) }));
  const foreign = fc.oneof(
    fc.integer({ min: lastTickId + 1, max: 65_535 }).map(puback),
    fc.constant(Buffer.from([0x40, 2, 0, 0])),
    fc.constant(Buffer.from([0x40, 3, 0, 1, 0])),
    fc.constant(generate({ cmd: "pingresp" })),
    fc.integer({ min: 1, max: 65_535 }).map((messageId) => generate({ cmd: "pubrec", messageId })),
    fc.nat(600).map((size) => publish("a/ü", Buffer.alloc(size, Buffer.from([0x40, 2, 0, 1])), 7)),
    fc.integer({ min: 16_300, max: 20_000 }).map((size) => publish("a", Buffer.alloc(size, 0x40), 7)),
  );
  const packets = fc.array(fc.oneof(tickAck, foreign), { maxLength: 40 });
  fc.assert(
    fc.property(packets, fc.array(fc.nat(), { maxLength: 200 }), (mixture, places) => {
      const bytes = Buffer.concat(mixture.map((packet) => (Buffer.isBuffer(packet) ? packet : packet.bytes)));
      const { acknowledged, other } = split(cut(bytes, places));
      const ids = mixture.flatMap((packet) => (Buffer.isBuffer(packet) ? [] : [packet.id]));
      const rest = mixture.filter((packet) => Buffer.isBuffer(packet));
      return acknowledged.join() === ids.join() && other.equals(Buffer.concat(rest));
    }),
    { seed, numRuns: 1_000 },
  );
  t.end();
});

test("the same holds byte by byte, and bytes that are no packet are all mqtt.js's from there on", (t) => {
  const bytes = Buffer.concat([
    puback(1),
    publish("a", "x".repeat(300), 9),
    puback(lastTickId),
    puback(40_000),
  ]);
  const single = [...bytes].map((byte) => Buffer.from([byte]));
  const { acknowledged, other } = split(single);
  t.same(acknowledged, [1, lastTickId]);
  t.same(other, Buffer.concat([publish("a", "x".repeat(300), 9), puback(40_000)]));
  const malformed = Buffer.concat([
    puback(5),
    Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]),
    puback(6),
    puback(7),
  ]);
  for (const chunks of [[malformed], [...malformed].map((byte) => Buffer.from([byte]))]) {
    t.same(split(chunks), { acknowledged: [5], other: malformed.subarray(4) });
  }
  t.end();
});

/** Encodes with a connection that has taken what it was given whenever `takes` says so. */
function encoded(messages: readonly [string, string | Buffer][], takes: (write: number) => boolean): Buffer {
  const kept: Buffer[] = [];
  const frames = new Frames((bytes) => {
    kept.push(bytes);
    const taken = takes(kept.length);
    if (taken) for (const [index, earlier] of kept.entries()) kept[index] = Buffer.from(earlier);
    return taken;
  });
  for (const [index, [topic, payload]] of messages.entries()) {
    frames.add(topic, index + 1, payload);
    if (index % 3 === 2) frames.flush();
  }
  frames.flush();
  frames.flush();
  return Buffer.concat(kept);
}

test("a frame is what mqtt-packet makes of it, for every topic and payload, whenever its memory is free again", (t) => {
  const expected = (messages: readonly [string, string | Buffer][]): Buffer =>
    Buffer.concat(messages.map(([topic, payload], index) => publish(topic, payload, index + 1)));
  const text = fc.string({ unit: "binary", maxLength: 300 });
  const payload = fc.oneof(
    text,
    text.map((characters) => Buffer.from(characters)),
  );
  const messages = fc.array(fc.tuple(fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }), payload));
  fc.assert(
    fc.property(messages, fc.array(fc.boolean(), { minLength: 1 }), (all, taken) =>
      encoded(all, (write) => taken[write % taken.length] === true).equals(expected(all)),
    ),
    { seed, numRuns: 500 },
  );
  const sizes = [
    0, 1, 120, 121, 122, 123, 124, 16_370, 16_377, 16_378, 16_400, 65_536, 70_000, 2_097_152, 2_500_000,
  ];
  const large = sizes.flatMap((size): [string, string | Buffer][] => [
    ["a/b", "x".repeat(size)],
    ["ü/b", "ü".repeat(size / 2)],
    ["a", Buffer.alloc(size, 7)],
    ["a", "next"],
  ]);
  for (const takes of [() => true, () => false]) t.ok(encoded(large, takes).equals(expected(large)));
  t.end();
});

test("mqtt.js gets few packet identifiers, and none again at once", (t) => {
  const controls = new ControlIds();
  const used = new Set<number | null>();
  const recent: (number | null)[] = [];
  for (let message = 0; message < 10_000; message++) {
    const id = controls.allocate();
    if (recent.includes(id)) t.fail(`${id} was used a moment ago`);
    used.add(id);
    recent.push(id);
    if (recent.length > 60) recent.shift();
    controls.deallocate(id ?? 0);
  }
  t.ok(used.size < 100, `${used.size}`);
  t.end();
});

test("ticks and mqtt.js never use the same packet identifier, and none is used twice at a time", (t) => {
  const controls = new ControlIds();
  const used = new Set(Array.from({ length: 32_768 }, () => controls.allocate() ?? 0));
  t.equal(used.size, 32_768);
  t.equal(Math.min(...used), lastTickId + 1);
  t.equal(Math.max(...used), 65_535);
  t.equal(controls.allocate(), null, "all are in flight");
  controls.deallocate(40_000);
  controls.deallocate(40_000);
  t.same([controls.allocate(), controls.allocate()], [40_000, null]);
  const ids = new TickIds<number>();
  const waiting = new Map<number, number>();
  for (let message = 0; message < 100_000; message++) {
    const id = ids.allocate(message);
    if (id < 1 || id > lastTickId || waiting.has(id)) t.fail(`${id} is not free`);
    waiting.set(id, message);
    // One is never acknowledged, the others in another order than they went.
    if (waiting.size < 50) continue;
    const [, , third = 0] = waiting.keys();
    if (ids.release(third) !== waiting.get(third)) t.fail(`${third} was another message's`);
    if (ids.release(third) !== undefined) t.fail(`${third} was released twice`);
    waiting.delete(third);
  }
  ids.clear();
  t.equal(ids.release([...waiting.keys()][0] as number), undefined);
  t.end();
});

/** A lane and the other end of its wire. */
function laneWithFarEnd(highWaterMark = 65_536): {
  lane: Lane;
  wire: Duplex;
  far: Duplex;
  heard: () => number;
} {
  const [wire, far] = duplexPair({ highWaterMark });
  let count = 0;
  const lane = new Lane(wire, () => {
    count += 1;
  });
  return { lane, wire, far, heard: () => count };
}

test("a tick's frame goes before or after what mqtt.js writes in one lot, never into it", async (t) => {
  const writes: Buffer[] = [];
  const wire = new Duplex({
    read: () => {},
    write: (chunk, _, done) => {
      writes.push(chunk);
      setImmediate(done); // as a socket that takes its time
    },
  });
  const lane = new Lane(wire, () => {});
  const packet = publish("agents/a/replies", "x".repeat(200_000), 40_000);
  lane.cork();
  lane.write(packet.subarray(0, 3));
  lane.publish("ticks/a", 1, "1");
  lane.flush();
  lane.write(packet.subarray(3));
  lane.uncork();
  lane.publish("ticks/a", 2, "2");
  lane.flush();
  lane.cork();
  for (const byte of packet.subarray(0, 100)) lane.write(Buffer.from([byte]));
  lane.publish("ticks/a", 3, "3");
  lane.flush();
  await until(() => writes.length === 4);
  lane.write(packet.subarray(100));
  lane.uncork();
  await until(() => writes.length === 5);
  const ticks = [1, 2, 3].map((id) => publish("ticks/a", String(id), id));
  t.same(writes, [ticks[0], packet, ticks[1], ticks[2], packet]);
});

test("what mqtt.js does not take holds the wire, as a pipe would, and nothing is lost of it", async (t) => {
  const { lane, wire, far, heard } = laneWithFarEnd();
  const acknowledged: number[] = [];
  lane.follow((packetId) => acknowledged.push(packetId));
  const control = publish("agents/a/requests", Buffer.alloc(1_000, 1), 40_000);
  for (let id = 1; id <= 500; id++) far.write(Buffer.concat([control, puback(id)]));
  lane.read(0);
  await until(() => wire.isPaused());
  t.ok(acknowledged.length < 500, `${acknowledged.length} acknowledged while it is held`);
  let received = 0;
  lane.on("data", (bytes: Buffer) => {
    received += bytes.length;
  });
  await until(() => received === 500 * control.length);
  t.same(
    acknowledged,
    Array.from({ length: 500 }, (_, index) => index + 1),
  );
  t.equal(heard(), 500, "each chunk with PUBACKs is a sign of life");
});

test("what the broker does not read makes mqtt.js wait, as a socket would", async (t) => {
  const { lane, far } = laneWithFarEnd(1_000);
  const lot = Buffer.alloc(100_000, 1);
  let room = true;
  for (let count = 0; room && count < 100; count++) room = lane.write(lot);
  t.equal(room, false);
  let drained = false;
  lane.once("drain", () => {
    drained = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(drained, false);
  far.resume();
  await until(() => drained);
});

test("the lane ends with its wire, and the wire with the lane", async (t) => {
  for (const end of ["close", "error"] as const) {
    const { lane, wire } = laneWithFarEnd();
    const errors: Error[] = [];
    lane.on("error", (error) => errors.push(error));
    const broken = Object.assign(new Error("broken"), { code: "ECONNRESET" });
    wire.destroy(end === "error" ? broken : undefined);
    await until(() => lane.closed);
    t.same(errors, end === "error" ? [broken] : []);
    lane.publish("ticks/a", 1, "1");
    lane.flush();
  }
  const { lane, wire } = laneWithFarEnd();
  lane.destroy();
  await until(() => wire.closed);
  const left = laneWithFarEnd();
  left.far.resume();
  left.lane.end("goodbye");
  await until(() => left.far.readableEnded);
  t.pass("an end is passed on");
});

test("a PUBACK that comes twice, of nobody, or of an earlier connection acknowledges nothing", async (t) => {
  const queue = new Ticks(6);
  const publisher = new Publisher({
    ...{ window: 3, lingerMs: 0, maxBatch: 1, payload: "json", ackTimeoutMs: 900_000, queue },
    clock: new FakeClock(),
  });
  const [earlier, now] = [laneWithFarEnd(), laneWithFarEnd()];
  const acknowledge = async ({ lane, far }: typeof now, ...ids: number[]): Promise<void> => {
    far.write(Buffer.concat([...ids.map(puback), generate({ cmd: "pingresp" })]));
    await once(lane, "data"); // the PINGRESP, which came behind them
  };
  publisher.start();
  publisher.attach(earlier.lane);
  t.equal(publisher.stats().published, 3);
  publisher.detach();
  publisher.attach(now.lane);
  t.equal(publisher.stats().repeated, 3);
  await acknowledge(earlier, 1, 2, 3, 4);
  t.equal(publisher.stats().acknowledged, 0);
  await acknowledge(now, 4, 4, 1, 9_999);
  await until(() => publisher.stats().published === 4);
  t.match(publisher.stats(), { acknowledged: 1, inFlight: 3 });
  t.equal(queue.settled, 1);
});
