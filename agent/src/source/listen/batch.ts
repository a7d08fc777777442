/** The trades of one HTTP body: an object, or an array of them. */
import { EquipoiseError, limits, parseJsonKeepingDigits, reasonOf, type VenueTrade } from "@equipoise/shared";
import { badRecord, parseJson } from "../fields.ts";
import { normalisedTrade } from "../normalised.ts";

/** Why a record was not accepted; its place in the array. */
export interface Fault {
  index: number;
  reason: string;
}

/** What a step gives, or the expected failure that it ended with. */
export function attempted<T>(step: () => T): T | EquipoiseError {
  try {
    return step();
  } catch (error) {
    if (error instanceof EquipoiseError) return error;
    throw error;
  }
}

export function readBatch(body: string, receivedTimeUs: number): { trades: VenueTrade[]; faults: Fault[] } {
  const trades: VenueTrade[] = [];
  const faults: Fault[] = [];
  const records = attempted(() => recordsOf(body));
  if (records instanceof EquipoiseError) return { trades, faults: [{ index: 0, reason: reasonOf(records) }] };
  for (const [index, record] of records.entries()) {
    const trade = attempted(() => normalisedTrade(record, receivedTimeUs));
    if (trade instanceof EquipoiseError) faults.push({ index, reason: reasonOf(trade) });
    else trades.push(trade);
  }
  return { trades, faults };
}

function recordsOf(body: string): readonly unknown[] {
  const value = parseJson(body, parseJsonKeepingDigits);
  const records: unknown[] = Array.isArray(value) ? value : [value];
  if (records.length <= limits.maxBatchRecords) return records;
  throw badRecord(`a batch holds at most ${limits.maxBatchRecords} records, not ${records.length}`);
}
