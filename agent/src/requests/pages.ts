/** A stream's records in pages, so that an answer of any length needs little memory. */
import { seqOfEncoded } from "@equipoise/shared";
import type { Archive, RecordRange } from "./archive.ts";

export interface NumberedRecord {
  seq: number;
  payload: string;
}

const pageRecords = 500;

/** At most `limit` records, in order. @throws EquipoiseError what {@link Archive.range} throws */
export async function* pages(
  archive: Archive,
  { venue, symbol, epoch, fromSeq, toSeq }: RecordRange,
  limit: number,
): AsyncGenerator<NumberedRecord[]> {
  let from = fromSeq;
  let left = limit;
  while (left > 0 && from <= toSeq) {
    const asked = Math.min(pageRecords, left);
    const payloads = await archive.range({ venue, symbol, epoch, fromSeq: from, toSeq }, asked);
    const page = payloads.map((payload) => ({ seq: seqOfEncoded(payload), payload }));
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    if (page.length < asked) return;
    left -= page.length;
    from = last.seq + 1;
  }
}
