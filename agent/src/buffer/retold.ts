/**
 * What a gap record told must be told again when it is lost itself before anybody has had it. Where it told of numbers
 * of its own stream and epoch they join the range of the run; all else, as what a venue's ids have told, is kept word by
 * word, so many for each stream and kind. Beyond that they become one: its outer bounds, and nobody knows how many.
 */
import type { Gap, Missing } from "@equipoise/shared";
import type { LostRange } from "./protocol.ts";

/** So many of a stream and kind are told word by word; with one more they are coalesced. */
export const maxDetails = 8;

/** What is to be told in place of a gap record that is lost. */
export function toldAgain(streamId: number, record: Gap): LostRange {
  const { type: _, agent: __, epoch: ___, seq, ...missing } = record;
  const { reason, count, fromSeq, toSeq, ofEpoch } = missing;
  const isPlain = reason !== "feed" && ofEpoch === undefined && (count !== null || reason === "crash");
  return isPlain && fromSeq !== undefined && toSeq !== undefined
    ? { streamId, fromSeq, toSeq, reason }
    : { streamId, fromSeq: seq, toSeq: seq, reason, missing };
}

/** @param details of one stream, the oldest first; of each kind, too many become one */
export function coalesced(details: readonly Detail[]): Detail[] {
  const kinds = Map.groupBy(details, ({ missing }) => kindOf(missing));
  return [...kinds.values()].flatMap((some) => (some.length > maxDetails ? some.reduce(merged) : some));
}

export type Detail = LostRange & { missing: Missing };

export const isDetail = (range: LostRange): range is Detail => range.missing !== undefined;

/** Only those with the same fields can be told as one without a word less. */
function kindOf({ count: _, reason, ofEpoch, ...bounds }: Missing): string {
  return [reason, ofEpoch, ...Object.keys(bounds).sort()].join();
}

function merged(one: Detail, other: Detail): Detail {
  const [a, b] = [one.missing, other.missing];
  const bounds = {
    fromSeq: outer(a.fromSeq, b.fromSeq, isLess),
    toSeq: outer(a.toSeq, b.toSeq, isMore),
    fromTradeId: outer(a.fromTradeId, b.fromTradeId, isIdBefore),
    toTradeId: outer(a.toTradeId, b.toTradeId, (x, y) => !isIdBefore(x, y)),
    fromTimeUs: outer(a.fromTimeUs, b.fromTimeUs, isLess),
    toTimeUs: outer(a.toTimeUs, b.toTimeUs, isMore),
  };
  const known = Object.entries(bounds).filter(([, bound]) => bound !== undefined);
  return {
    ...one,
    fromSeq: Math.min(one.fromSeq, other.fromSeq),
    toSeq: Math.max(one.toSeq, other.toSeq),
    missing: { ...a, count: null, ...Object.fromEntries(known) },
  };
}

function outer<T>(a: T | undefined, b: T | undefined, isOuter: (b: T, a: T) => boolean): T | undefined {
  return a === undefined || b === undefined || !isOuter(b, a) ? a : b;
}

const isLess = (b: number, a: number): boolean => b < a;
const isMore = (b: number, a: number): boolean => b > a;

/** Ids that are no numbers have no order but that in which they came. */
const isIdBefore = (b: string, a: string): boolean =>
  /^\d+$/.test(a) && /^\d+$/.test(b) && BigInt(b) < BigInt(a);
