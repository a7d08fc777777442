/** Reads records of the present epoch that are still here: in memory, in the database, or in one that was set aside. */
import { seqOfEncoded } from "@equipoise/shared/tick";
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
  /** What was set aside may have some; undefined when nothing was. */
  setAside: ((wanted: RecordRange, limit: number) => Promise<string[]>) | undefined;
}

/** In order of sequence, at most `limit`. @throws EquipoiseError EQ_STORE_FAILED, EQ_STORE_DAMAGED */
export async function keptRecords(keeping: Keeping, asked: RecordRange, limit: number): Promise<string[]> {
  const wanted = { ...asked, toSeq: Math.min(asked.toSeq, keeping.stream.seq) };
  const kept = await inUse(keeping, wanted, limit);
  if (keeping.setAside === undefined || isWhole(kept, wanted, limit)) return kept;
  return inOrder([kept, await keeping.setAside(wanted, limit)], limit);
}

/** Of one stream and epoch, each list in order: all of them in order, each number once, at most `limit`. */
export function inOrder(lists: readonly (readonly string[])[], limit: number): string[] {
  const some = lists.filter(({ length }) => length > 0);
  if (some.length < 2) return (some[0] ?? []).slice(0, limit);
  const bySeq = new Map(some.flat().map((payload) => [seqOfEncoded(payload), payload]));
  const records = [...bySeq].sort(([a], [b]) => a - b).slice(0, limit);
  return records.map(([, payload]) => payload);
}

async function inUse(
  { stream, uncommitted, store }: Keeping,
  { fromSeq, toSeq }: RecordRange,
  limit: number,
): Promise<string[]> {
  const inMemory = uncommitted.flatMap((batch) => [...batch.ticksOf(stream)]);
  const onDiskTo = Math.min(toSeq, (inMemory[0]?.seq ?? Number.POSITIVE_INFINITY) - 1);
  const onDisk = { streamId: stream.id, fromSeq, toSeq: onDiskTo };
  const payloads = fromSeq > onDiskTo ? [] : await store.range(onDisk, limit);
  // A number that is not durably reserved must not leave the device.
  const last = Math.min(toSeq, stream.reserved);
  const newer = inMemory.filter(({ seq }) => seq >= fromSeq && seq <= last).map(({ payload }) => payload);
  return [...payloads, ...newer].slice(0, limit);
}

/** Nothing is missing among them, or up to where they are enough. */
function isWhole(kept: readonly string[], { fromSeq, toSeq }: RecordRange, limit: number): boolean {
  const wanted = Math.min(limit, toSeq - fromSeq + 1);
  const last = kept.at(-1);
  return (
    wanted <= 0 ||
    (last !== undefined && seqOfEncoded(last) === fromSeq + wanted - 1 && kept.length === wanted)
  );
}
