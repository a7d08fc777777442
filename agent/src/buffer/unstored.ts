/** What a stop gives up because the disk does not take it. */
import type { Batch } from "./batch.ts";
import { type GivenUpTick, lostWith } from "./given-up.ts";
import type { LostRange } from "./protocol.ts";

/** The numbers in these batches that nobody will have, and what their gap records tell. */
export function lostWithBatches(
  batches: readonly Batch[],
  isDone: (position: number) => boolean,
): LostRange[] {
  const ticks = batches.flatMap((batch) => unsettledOf(batch, isDone));
  return [...batches.flatMap(({ dropped }) => dropped), ...lostWith(ticks)];
}

function unsettledOf(batch: Batch, isDone: (position: number) => boolean): GivenUpTick[] {
  const ticks: GivenUpTick[] = [];
  for (let index = 0; index < batch.size; index += 1) {
    if (isDone(batch.first + index)) continue;
    const { stream, seq, payload } = batch.tick(index);
    ticks.push({ streamId: stream.id, seq, payload });
  }
  return ticks;
}
