import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  decodePayload,
  decodeTickBatch,
  encodeRecord,
  encodeTickBatch,
  limits,
  type TickRecord,
} from "@equipoise/shared";
import fc from "fast-check";
import { test } from "tap";
import { TickBatchSchema, TickRecordSchema } from "../../shared/src/proto/tick_batch_pb.ts";
import { gap, trade } from "./client/fixtures.ts";

const count = fc.oneof(fc.nat(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const positive = count.map((value) => Math.max(1, value));
const decimal = fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?$/);
const id = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const tradeId = fc.oneof(id, count.map(String), fc.constantFrom("007", "-1", "0", "9007199254740993", "1e3"));
const optional = { requiredKeys: [] };

const trades = fc
  .record({
    changes: fc.record({
      price: decimal,
      size: decimal,
      side: fc.constantFrom("buy", "sell", "unknown"),
      exchangeTimeUs: count,
      receivedTimeUs: count,
      seq: positive,
    }),
    ids: fc.record({ tradeId }, optional),
  })
  .map(({ changes, ids }) => trade(1, { ...changes, ...ids, epoch: "01J" }));
const gaps = fc
  .record({
    changes: fc.record({
      reason: fc.constantFrom("feed", "evicted", "corrupt", "crash"),
      count: fc.option(count),
      seq: positive,
    }),
    range: fc.record(
      {
        ofEpoch: id,
        fromSeq: positive,
        toSeq: positive,
        fromTradeId: id,
        toTradeId: id,
        fromTimeUs: count,
        toTimeUs: count,
      },
      optional,
    ),
  })
  .map(({ changes, range }) => gap(1, { ...changes, ...range }));

test("every field of every record comes back as it was, to the digit and byte", async (t) => {
  const batch = fc.array(fc.oneof(trades, gaps), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(batch, (records: TickRecord[]) => {
      const payload = encodeTickBatch(records);
      t.notOk(payload[0] === 0x7b || payload[0] === 0x5b, "looks like JSON");
      t.same(decodePayload(payload).map(encodeRecord), records.map(encodeRecord));
    }),
    { numRuns: 300 },
  );
});

test("no field that the schema may ever have makes a message look like JSON", async (t) => {
  const [first] = TickBatchSchema.fields;
  t.ok(first && TickBatchSchema.fields.every(({ number }) => number !== 11 && number !== 15));
  const tags = Array.from({ length: 2_000 }, (_, index) => index + 1).flatMap((number) =>
    [WireType.Varint, WireType.Bit64, WireType.LengthDelimited, WireType.Bit32].map(
      (type) => new BinaryWriter().tag(number, type).finish()[0],
    ),
  );
  t.notOk(tags.includes(0x7b) || tags.includes(0x5b));
});

test("fields of a later schema are ignored", async (t) => {
  const records = [trade(1), gap(2)];
  const later = new BinaryWriter().raw(encodeTickBatch(records)).tag(900, WireType.LengthDelimited);
  t.same(decodePayload(later.string("news").finish()), records);
});

test("what is no batch is refused with what is wrong", async (t) => {
  const batchWith = (changes: object): Uint8Array =>
    toBinary(
      TickBatchSchema,
      Object.assign(fromBinary(TickBatchSchema, encodeTickBatch([trade(1)])), changes),
    );
  const [record] = fromBinary(TickBatchSchema, encodeTickBatch([trade(1)])).records;
  const recordWith = (changes: object): Uint8Array =>
    batchWith({ records: [Object.assign(create(TickRecordSchema), record, changes)] });
  const refused: [Uint8Array, RegExp][] = [
    [new Uint8Array(), /a batch holds 1 to 4096 records/],
    [batchWith({ records: [] }), /a batch holds 1 to 4096 records/],
    [batchWith({ records: Array(limits.maxBatchRecords + 1).fill(record) }), /a batch holds 1 to 4096/],
    [recordWith({ price: "1e5" }), /"price" must be a decimal string/],
    [recordWith({ side: 7 }), /"side" must be buy, sell or unknown/],
    [batchWith({ venue: "" }), /"venue" must be/],
    [recordWith({ seqSkip: -1n }), /"seq" must be an integer from 1/],
    [recordWith({ exchangeTimeUsStep: 2n ** 60n }), /"exchangeTimeUs" must be/],
    [encodeTickBatch([trade(1)]).subarray(0, -3), /neither JSON nor a binary batch/],
  ];
  for (const [payload, message] of refused)
    t.throws(() => decodeTickBatch(payload), { code: "EQ_RECORD_INVALID", message });
});

test("noise is refused or read as records, and never anything else", async (t) => {
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.tuple(fc.nat(), fc.nat(255)).map(([at, byte]) => {
      const payload = Uint8Array.from(encodeTickBatch([trade(1), gap(2), trade(3)]));
      payload[at % payload.length] = byte;
      return payload;
    }),
  );
  fc.assert(
    fc.property(noise, (payload) => {
      try {
        t.ok(decodePayload(payload).every(({ seq }) => Number.isSafeInteger(seq)));
      } catch (error) {
        t.match(error, { code: "EQ_RECORD_INVALID" });
      }
    }),
    { numRuns: 500 },
  );
});

test("a batch of two streams or epochs is a mistake of whoever makes it", async (t) => {
  t.throws(() => encodeTickBatch([trade(1), trade(2, { symbol: "ETHUSDT" })]), /another stream or epoch/);
  t.throws(() => encodeTickBatch([trade(1), gap(2, { epoch: "01K" })]), /another stream or epoch/);
  t.throws(() => encodeTickBatch([]), /needs a record/);
});
