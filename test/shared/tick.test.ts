import { decodePayload, encodeRecord, limits, recordFault, venueTradeFault } from "@equipoise/shared";
import { test } from "tap";
import { gap, trade } from "./client/fixtures.ts";

const decode = (text: string) => decodePayload(Buffer.from(text));

test("the documented trade decodes, and encodes to the very same bytes", async (t) => {
  const documented =
    '{"type":"trade","venue":"binance","symbol":"BTCUSDT","tradeId":"3735683259","price":"61837.63000000","size":"0.02000000","side":"sell","exchangeTimeUs":1723161255342000,"receivedTimeUs":1723161254087896,"agent":"pi-7","epoch":"01J","seq":1042}';
  const [record] = decode(documented);
  t.equal(record && encodeRecord(record), documented);
});

test("fields come out in the documented order whatever order they had; absent ones stay absent", async (t) => {
  const { type, venue, ...rest } = trade(1);
  t.equal(encodeRecord({ ...rest, venue, type }), encodeRecord(trade(1)));
  t.notMatch(encodeRecord(trade(1)), /tradeId/);
  t.equal(
    encodeRecord(gap(1_055, { count: 12, fromSeq: 1_043, toSeq: 1_054 })),
    '{"type":"gap","reason":"evicted","count":12,"fromSeq":1043,"toSeq":1054,"agent":"pi-7","epoch":"01J","seq":1055}',
  );
});

test("a batch keeps its order, an empty one is no record, unknown fields are ignored", async (t) => {
  const batch = `[${[trade(1), gap(2), trade(3)].map(encodeRecord)}]`;
  t.same(
    decode(batch).map(({ seq }) => seq),
    [1, 2, 3],
  );
  t.same(decode("[]"), []);
  t.match(decode(JSON.stringify({ ...trade(1), later: { more: true } })), [{ seq: 1 }]);
});

test("a view into a larger buffer decodes as itself", async (t) => {
  const text = encodeRecord(trade(7));
  const larger = Buffer.from(`xxxx${text}yyyy`);
  t.match(decodePayload(larger.subarray(4, 4 + text.length)), [{ seq: 7 }]);
});

test("what is not a record is refused with the field and what it must be", async (t) => {
  const refused: [string, RegExp][] = [
    ["", /a batch holds 1 to 4096 records/],
    [" {}", /a batch holds 1 to|neither JSON nor a binary batch/],
    ["\u0001batch", /neither JSON nor a binary batch/],
    ["{", /not JSON/],
    ["{}", /"type" must be "trade" or "gap", not nothing/],
    ["[1]", /must be a JSON object/],
    [JSON.stringify({ ...trade(1), price: 61_837.63 }), /"price" must be a decimal string, not 61837.63/],
    [JSON.stringify({ ...trade(1), size: "1e-7" }), /"size" must be a decimal string, not "1e-7"/],
    [JSON.stringify({ ...trade(1), side: "BUY" }), /"side" must be buy, sell or unknown, not "BUY"/],
    [
      JSON.stringify({ ...trade(1), venue: "v".repeat(200) }),
      /"venue" must be a short non-empty string, not "v{39}…/,
    ],
    [JSON.stringify({ ...trade(1), tradeId: 5 }), /"tradeId" must be a short non-empty string, not 5/],
    [JSON.stringify({ ...trade(1), exchangeTimeUs: 1.5 }), /"exchangeTimeUs" must be integer microseconds/],
    [JSON.stringify(trade(0)), /"seq" must be an integer from 1, not 0/],
    [JSON.stringify({ ...gap(1), count: undefined }), /"count" must be an integer or null, not nothing/],
    [JSON.stringify({ ...gap(1), reason: "bored" }), /"reason" must be feed, evicted, corrupt or crash/],
    [JSON.stringify({ ...gap(1), fromSeq: 0 }), /"fromSeq" must be an integer from 1/],
  ];
  for (const [text, message] of refused) {
    t.throws(() => decode(text), { code: "EQ_RECORD_INVALID", message }, text.slice(0, 60));
  }
  const tooMany = JSON.stringify(Array.from({ length: limits.maxBatchRecords + 1 }, () => 0));
  t.throws(() => decode(tooMany), { code: "EQ_RECORD_INVALID", message: /at most 4096 records/ });
});

test("a venue's trade needs no place in a stream yet; a record does", async (t) => {
  const { agent: _, epoch: __, seq: ___, type: ____, ...venueTrade } = trade(1);
  t.equal(venueTradeFault(venueTrade), undefined);
  t.match(recordFault({ type: "trade", ...venueTrade }), /"agent"/);
  t.match(venueTradeFault(null), /JSON object/);
});
