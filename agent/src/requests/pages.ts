/** A stream's records in pages, so that an answer of any length needs little memory. */
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
    const page = payloads.map((payload) => ({ seq: seqOf(payload), payload }));
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    if (page.length < asked) return;
    left -= page.length;
    from = last.seq + 1;
  }
}

/** `seq` is the last field of every record, whatever is before it. */
function seqOf(payload: string): number {
  const digits = /"seq":(\d+)\}$/.exec(payload)?.[1];
  if (digits === undefined) throw new Error(`a record without its sequence: ${payload.slice(0, 80)}`);
  return Number(digits);
}
