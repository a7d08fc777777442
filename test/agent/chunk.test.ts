import Database from "better-sqlite3";
import { test } from "tap";
import { decodeRecords, encodeRecords, movable, payloadsOf } from "../../agent/src/buffer/chunk.ts";

const recordsOf = (count: number) =>
  movable({
    payloads: new TextEncoder().encode(Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join("")),
    streamIds: Uint32Array.from({ length: count }, (_, n) => n % 3),
  });

/** As the store has them: out of a row. */
function fromRow(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const database = new Database(":memory:");
  const row = database.prepare<[Uint8Array], { bytes: Buffer<ArrayBuffer> }>("SELECT ? AS bytes").get(bytes);
  database.close();
  if (row === undefined) throw new Error("unreachable");
  return row.bytes;
}

for (const count of [1, 40, 4_096])
  test(`${count} records come back as they were, and the row's memory is given back at once`, (t) => {
    const records = recordsOf(count);
    const bytes = fromRow(encodeRecords(records));
    const decoded = decodeRecords(bytes, count);
    t.same(decoded && payloadsOf(decoded), payloadsOf(records));
    t.same(decoded?.streamIds, records.streamIds);
    t.ok(bytes.buffer.detached);
    t.end();
  });

test("damaged records are none, and their memory is given back as well", (t) => {
  const encoded = encodeRecords(recordsOf(100));
  encoded[encoded.length >> 1] = (encoded[encoded.length >> 1] as number) ^ 0x10;
  const bytes = fromRow(encoded);
  t.equal(decodeRecords(bytes, 100), undefined);
  t.ok(bytes.buffer.detached);
  t.end();
});
