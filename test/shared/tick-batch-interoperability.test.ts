import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decodePayload, encodeRecord, encodeTickBatch } from "@equipoise/shared";
import { test } from "tap";
import { file_tick_batch } from "../../shared/src/proto/tick_batch_pb.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { compiled, plain, protoc, pythonReading, skipProtoc, skipPython } from "../support/protobuf.ts";
import { gap, trade } from "./client/fixtures.ts";

const schema = "tick_batch.proto";
const reader = fileURLToPath(new URL("tick-batch-reader.py", import.meta.url));

const records = [
  trade(5, { tradeId: "3735683259" }),
  gap(9, { count: 3, fromSeq: 6, toSeq: 8 }),
  gap(10, { reason: "feed", fromTradeId: "3735683260", toTradeId: "7", fromTimeUs: 1, toTimeUs: 2 }),
  trade(11, { tradeId: "2280f3a9-7cb4", side: "buy", exchangeTimeUs: 1_723_161_255_341_000 }),
  trade(3, { tradeId: "3735683258", price: "0.10", side: "unknown" }),
];

test("the generated code is that of the schema: make it anew as docs/payloads.md says", {
  skip: skipProtoc,
}, async (t) => {
  t.same(plain(file_tick_batch.proto), compiled(schema, await temporaryDirectory(t)));
});

test("protoc reads what is written here, and what it writes is read here", {
  skip: skipProtoc,
}, async (t) => {
  const name = "equipoise.v1.TickBatch";
  const text = protoc(schema, [`--decode=${name}`], encodeTickBatch(records));
  t.match(text.toString(), /trade_id_text: "2280f3a9-7cb4"/);
  t.same(decodePayload(protoc(schema, [`--encode=${name}`], text)), records);
});

test("the documented Python program prints a batch as the records that it is", {
  skip: skipPython,
}, async (t) => {
  const directory = await temporaryDirectory(t);
  const printed = pythonReading(schema, directory, reader, encodeTickBatch(records)).trim().split("\n");
  t.same(
    printed.map((line) => JSON.parse(line)),
    records,
  );
  t.equal(printed[0], encodeRecord(records[0] as never), "also in the order of its fields");
  const page = readFileSync(new URL("../../docs/payloads.md", import.meta.url), "utf8");
  const [, documented] = /```python\n([\s\S]*?)```/.exec(page) ?? [];
  t.ok(
    readFileSync(reader, "utf8").includes(documented ?? "?"),
    "the page shows the program that was tested",
  );
});
