/** What is missing in a stream, and how gap records explain parts of it. */
import type { Gap } from "../tick.ts";

/** Something missing in a stream. Sequence numbers, where known, are those that this consumer never received. */
export interface MissingTicks {
  topic: string;
  /** Whose numbers they are: with the agent's gap record it may be an epoch before the record's own. */
  epoch: string;
  /**
   * `hole`: numbered records were lost between the agent and here. `epoch`: another epoch began, and nothing tells how this
   * one ended, of which numbers from `fromSeq` on may be missing. Otherwise the reason in the agent's gap record.
   */
  reason: "hole" | "epoch" | Gap["reason"];
  /** How many ticks are missing; null where unknown. */
  count: number | null;
  fromSeq?: number;
  toSeq?: number;
  /** The agent's gap record, when it was one. */
  record?: Gap;
}

/** Missing numbers, both ends included. */
export type MissingNumbers = MissingTicks & { fromSeq: number; toSeq: number };

/** First and last sequence number. */
export type Range = readonly [from: number, to: number];

export function hole(topic: string, epoch: string, [fromSeq, toSeq]: Range): MissingNumbers {
  return { topic, epoch, reason: "hole", count: toSeq - fromSeq + 1, fromSeq, toSeq };
}

export function openEnd(topic: string, epoch: string, fromSeq: number): MissingTicks {
  return { topic, epoch, reason: "epoch", count: null, fromSeq };
}

/** What a gap record says by itself. */
export function toldBy(topic: string, record: Gap): MissingTicks {
  const { reason, count, fromSeq, toSeq } = record;
  const epoch = record.ofEpoch ?? record.epoch;
  const range = fromSeq === undefined || toSeq === undefined ? {} : { fromSeq, toSeq };
  return { topic, epoch, reason, count, ...range, record };
}

/** The numbers that a gap record tells of, if they are of its own epoch and therefore before its own. */
export function explainedBy({ fromSeq = 1, toSeq, seq, ofEpoch }: Gap): Range | undefined {
  if (toSeq === undefined || toSeq >= seq || ofEpoch !== undefined) return undefined;
  return [fromSeq, toSeq];
}

/** The same in parts, in order: those that gap records explain, with their reason, and what is left between them. */
export function explained(missing: MissingNumbers, gaps: readonly Gap[]): MissingNumbers[] {
  const parts: MissingNumbers[] = [];
  let at = missing.fromSeq;
  for (const record of gaps.toSorted((a, b) => (a.fromSeq ?? 0) - (b.fromSeq ?? 0))) {
    const [from, to] = explainedBy(record) ?? [1, 0];
    // What the agent gave up may have arrived all the same; then nothing is missing.
    const [first, last] = [Math.max(from, at), Math.min(to, missing.toSeq)];
    if (first > last) continue;
    if (first > at) parts.push(partOf(missing, at, first - 1));
    if (record.count !== 0) parts.push(partOf({ ...missing, ...toldBy(missing.topic, record) }, first, last));
    at = last + 1;
  }
  if (at <= missing.toSeq) parts.push(partOf(missing, at, missing.toSeq));
  return parts;
}

/** Of the numbers that a crash leaves behind, nobody knows how many had been given to ticks. */
export function partOf(missing: MissingTicks, fromSeq: number, toSeq: number): MissingNumbers {
  const count = missing.record?.count === null ? null : toSeq - fromSeq + 1;
  return { ...missing, count, fromSeq, toSeq };
}
