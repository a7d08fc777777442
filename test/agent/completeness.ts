/**
 * What an exclusive reader can prove from a stream alone, judged without the product's own reader: every number from 1 to
 * the newest either came or is within the range of a gap record.
 */
import { decodePayload, type Gap, type TickRecord } from "@equipoise/shared";

export interface Judgement {
  /** Numbers that neither came nor are told of. */
  holes: number[];
  /** Numbers that came with different content. */
  usedTwice: number[];
  gaps: Gap[];
  records: TickRecord[];
  tradeIds: Set<string>;
}

/** @param payloads of one stream and one epoch, in any order, repeats included */
export function judge(payloads: readonly (string | Buffer)[]): Judgement {
  const bySeq = new Map<number, string>();
  const usedTwice: number[] = [];
  const records: TickRecord[] = [];
  for (const payload of payloads) {
    const text = payload.toString();
    const [record] = decodePayload(Buffer.from(text));
    if (record === undefined) throw new Error("a payload without a record");
    const known = bySeq.get(record.seq);
    if (known !== undefined && known !== text) usedTwice.push(record.seq);
    if (known === undefined) records.push(record);
    bySeq.set(record.seq, text);
  }
  const gaps = records.filter((record) => record.type === "gap");
  const newest = records.reduce((most, { seq }) => Math.max(most, seq), 0);
  const told = new Set<number>();
  for (const { fromSeq = 1, toSeq = 0 } of gaps)
    for (let seq = fromSeq; seq <= toSeq; seq += 1) told.add(seq);
  const holes: number[] = [];
  for (let seq = 1; seq <= newest; seq += 1) if (!bySeq.has(seq) && !told.has(seq)) holes.push(seq);
  const tradeIds = new Set(
    records.flatMap((record) => (record.type === "trade" ? (record.tradeId ?? []) : [])),
  );
  return { holes, usedTwice, gaps, records, tradeIds };
}
