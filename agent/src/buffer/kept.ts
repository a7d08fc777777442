/** Reads records of the present epoch that are still here, in memory or in the database. */
import type { RecordRange } from "../requests/archive.ts";
import type { Batch } from "./batch.ts";
import type { RenewableStore } from "./renewable-store.ts";
import type { NumberedStream } from "./streams.ts";

/** Where a stream's records are. */
export interface Keeping {
  stream: NumberedStream;
  /** Not committed yet, oldest first. */
  uncommitted: readonly Batch[];
  store: RenewableStore;
}

/** In order of sequence, at most `limit`. @throws EquipoiseError EQ_STORE_FAILED, EQ_STORE_DAMAGED */
export async function keptRecords(
  { stream, uncommitted, store }: Keeping,
  { fromSeq, toSeq }: RecordRange,
  limit: number,
): Promise<string[]> {
  const inMemory = uncommitted.flatMap((batch) => [...batch.ticksOf(stream)]);
  const onDiskTo = Math.min(toSeq, (inMemory[0]?.seq ?? Number.POSITIVE_INFINITY) - 1);
  const onDisk = { streamId: stream.id, fromSeq, toSeq: onDiskTo };
  const payloads = fromSeq > onDiskTo ? [] : await store.range(onDisk, limit);
  const newer = inMemory.filter(({ seq }) => seq >= fromSeq && seq <= toSeq).map(({ payload }) => payload);
  return [...payloads, ...newer].slice(0, limit);
}
