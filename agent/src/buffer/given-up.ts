/** What is lost with ticks that are given up. */
import type { Gap } from "@equipoise/shared";
import { isEncodedGap } from "@equipoise/shared/tick";
import { rangesOf } from "./chunk.ts";
import type { LostRange } from "./protocol.ts";
import { toldAgain } from "./retold.ts";

export interface GivenUpTick {
  streamId: number;
  seq: number;
  payload: string;
}

/** Their numbers, and what the gap records among them told. @param ticks in order of sequence in each stream */
export function lostWith(ticks: readonly GivenUpTick[]): LostRange[] {
  const own = rangesOf(ticks).map((range) => ({ ...range, reason: "evicted" as const }));
  return [...own, ...ticks.flatMap(toldBy)];
}

function toldBy({ streamId, payload }: GivenUpTick): LostRange | LostRange[] {
  return isEncodedGap(payload) ? toldAgain(streamId, JSON.parse(payload) as Gap) : [];
}
