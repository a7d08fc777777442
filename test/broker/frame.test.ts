import fc from "fast-check";
import { test } from "tap";
import { FrameReader } from "../../broker/src/gate/frame.ts";

const frame = (type: number, size: number): Buffer => {
  const digits: number[] = [];
  let rest = size;
  do {
    digits.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([type << 4, ...digits]), Buffer.alloc(size, type)]);
};

const copyOf = (bytes: Buffer, start: number, end: number): string => bytes.toString("hex", start, end);

test("however a stream is cut into segments, the same frames come out", async (t) => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 120, max: 20_000 })), {
    minLength: 1,
    maxLength: 12,
  });
  const property = fc.property(
    sizes,
    fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1 }),
    (lengths, cuts) => {
      const frames = lengths.map((size, index) => frame((index % 14) + 1, size));
      const stream = Buffer.concat(frames);
      const seen: string[] = [];
      const reader = new FrameReader(65_536, (bytes, start, body, end) => {
        // The body begins behind the remaining length, and the handler gets whole frames only.
        if (body - start < 2 || body > end) throw new Error("bad offsets");
        seen.push(copyOf(bytes, start, end));
        return true;
      });
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const size = cuts[turn % cuts.length] as number;
        reader.push(Buffer.from(stream.subarray(at, at + size)));
        at += size;
      }
      return JSON.stringify(seen) === JSON.stringify(frames.map((bytes) => bytes.toString("hex")));
    },
  );
  fc.assert(property, { numRuns: 300 });
  t.pass("300 streams");
});

test("a handler that holds gets nothing more until it resumes, then everything in order", async (t) => {
  const seen: number[] = [];
  let hold = true;
  const reader = new FrameReader(1_024, (bytes, start) => {
    seen.push((bytes[start] as number) >> 4);
    return !hold;
  });
  reader.push(Buffer.concat([frame(1, 3), frame(2, 200), frame(3, 1).subarray(0, 2)]));
  reader.push(Buffer.concat([frame(3, 1).subarray(2), frame(4, 0)]));
  t.same(seen, [1]);
  reader.resume();
  t.same(seen, [1, 2], "it may hold again at once");
  hold = false;
  reader.resume();
  t.same(seen, [1, 2, 3, 4]);
});

test("a length over the limit is refused as soon as its digits are read", async (t) => {
  const reader = new FrameReader(1_000, () => true);
  t.throws(() => reader.push(frame(3, 2_000).subarray(0, 3)), /allowed are 1000/);
});

test("a remaining length of five digits is malformed, also when it comes byte by byte", async (t) => {
  const reader = new FrameReader(1_000, () => true);
  t.throws(() => {
    for (const byte of [0x30, 0xff, 0xff, 0xff, 0xff, 0x01]) reader.push(Buffer.from([byte]));
  }, /more than four bytes/);
});

test("a megabyte in one-byte segments costs as much per byte as a small frame", async (t) => {
  const timeOf = (size: number): number => {
    const bytes = frame(3, size);
    let whole = 0;
    const reader = new FrameReader(2 ** 21, () => {
      whole++;
      return true;
    });
    const began = process.cpuUsage();
    for (let at = 0; at < bytes.length; at++) reader.push(bytes.subarray(at, at + 1));
    t.equal(whole, 1);
    return process.cpuUsage(began).user / size;
  };
  timeOf(65_536);
  const small = timeOf(65_536);
  const large = timeOf(1_048_576);
  t.ok(large < small * 5 + 0.5, `${large.toFixed(3)} µs a byte against ${small.toFixed(3)}: not quadratic`);
});
