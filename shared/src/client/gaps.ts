/**
 * Finds what is missing in streams that are read completely and in order, each gap exactly once. What the agent knows
 * to be missing comes as a gap record; a jump in `seq` that no gap record explains is a `hole`. For exclusive
 * consumers only: a pool member sees a subset of every stream.
 */
import type { Gap, TickRecord } from "../tick.ts";

/** Something missing in a stream. Sequence numbers, where known, are those that this consumer never received. */
export interface MissingTicks {
  topic: string;
  epoch: string;
  /** `hole`: numbered records were lost between the agent and here. Otherwise the reason in the agent's gap record. */
  reason: "hole" | Gap["reason"];
  /** How many ticks are missing; null where unknown. */
  count: number | null;
  fromSeq?: number;
  toSeq?: number;
  /** The agent's gap record, when it was one. */
  record?: Gap;
}

/** First and last sequence number, both missing. */
type Range = readonly [from: number, to: number];

interface Progress {
  nextSeq: number;
  /** Reported holes that may still be filled by late records; bounded, oldest dropped. */
  holes: Range[];
}

const maxHoles = 64;

export class GapDetector {
  readonly #maxStreams: number;
  readonly #streams = new Map<string, Map<string, Progress>>();

  /** @param maxStreams streams beyond it make the longest-silent one forgotten (`dropOldest`) */
  constructor(maxStreams = 10_000) {
    this.#maxStreams = maxStreams;
  }

  /** Takes note of a record and returns what it proves to be missing, in order of sequence. */
  observe(topic: string, record: TickRecord): MissingTicks[] {
    const epochs = this.#epochsOf(topic);
    const progress = epochs.get(record.epoch);
    if (progress === undefined) return this.#begin(topic, epochs, record);
    const { seq } = record;
    if (seq < progress.nextSeq) return late(topic, progress, record);
    const from = progress.nextSeq;
    progress.nextSeq = seq + 1;
    return missingBetween(topic, progress, from, record);
  }

  /** The first record ever seen of a stream is where reading begins; a later epoch begins at 1. */
  #begin(topic: string, epochs: Map<string, Progress>, record: TickRecord): MissingTicks[] {
    const joined = epochs.size === 0;
    const newest = joined || record.epoch > [...epochs.keys()].reduce((a, b) => (a > b ? a : b));
    const progress: Progress = { nextSeq: record.seq + 1, holes: [] };
    epochs.set(record.epoch, progress);
    if (epochs.size > 2) epochs.delete(oldestOf(epochs));
    if (joined || !newest) return record.type === "gap" ? [fromRecord(topic, record)] : [];
    return missingBetween(topic, progress, 1, record);
  }

  #epochsOf(topic: string): Map<string, Progress> {
    const epochs = this.#streams.get(topic) ?? new Map<string, Progress>();
    this.#streams.delete(topic);
    this.#streams.set(topic, epochs);
    if (this.#streams.size > this.#maxStreams) this.#streams.delete(oldestOf(this.#streams));
    return epochs;
  }
}

function oldestOf(map: ReadonlyMap<string, unknown>): string {
  return map.keys().next().value ?? "";
}

/** Everything in `[from, record.seq)` is missing: explained by the record as far as it goes, holes beside it. */
function missingBetween(topic: string, progress: Progress, from: number, record: TickRecord): MissingTicks[] {
  const to = record.seq - 1;
  if (record.type === "trade") return holes(topic, progress, record.epoch, [[from, to]]);
  // Numbers that are not before the record's own belong to an earlier epoch.
  if (record.fromSeq === undefined || record.toSeq === undefined || record.toSeq > to) {
    return [...holes(topic, progress, record.epoch, [[from, to]]), fromRecord(topic, record)];
  }
  const first = Math.max(record.fromSeq, from);
  const last = record.toSeq;
  // What the agent gave up may have arrived all the same; then nothing is missing.
  if (first > last) return holes(topic, progress, record.epoch, [[from, to]]);
  const before = holes(topic, progress, record.epoch, [[from, first - 1]]);
  const after = holes(topic, progress, record.epoch, [[last + 1, to]]);
  return [...before, explained(topic, record, first, last), ...after];
}

function explained(topic: string, record: Gap, fromSeq: number, toSeq: number): MissingTicks {
  // Of the numbers that a crash leaves behind, nobody knows how many had been given to ticks.
  const count = record.count === null ? null : toSeq - fromSeq + 1;
  return { ...fromRecord(topic, record), count, fromSeq, toSeq };
}

function fromRecord(topic: string, record: Gap): MissingTicks {
  const { epoch, reason, count, fromSeq, toSeq } = record;
  const range = fromSeq === undefined || toSeq === undefined ? {} : { fromSeq, toSeq };
  return { topic, epoch, reason, count, ...range, record };
}

function holes(topic: string, progress: Progress, epoch: string, ranges: readonly Range[]): MissingTicks[] {
  const real = ranges.filter(([from, to]) => from <= to);
  progress.holes.push(...real);
  progress.holes.splice(0, progress.holes.length - maxHoles);
  return real.map(([fromSeq, toSeq]) => ({
    topic,
    epoch,
    reason: "hole" as const,
    count: toSeq - fromSeq + 1,
    fromSeq,
    toSeq,
  }));
}

/** A late record fills a reported hole; if it is a gap record about ticks without numbers, its news is new. */
function late(topic: string, progress: Progress, record: TickRecord): MissingTicks[] {
  const { seq } = record;
  const index = progress.holes.findIndex(([from, to]) => from <= seq && seq <= to);
  const hole = progress.holes[index];
  if (hole === undefined) return [];
  const [from, to] = hole;
  const rest: Range[] = [
    [from, seq - 1],
    [seq + 1, to],
  ];
  progress.holes.splice(index, 1, ...rest.filter(([first, last]) => first <= last));
  return record.type === "gap" && record.fromSeq === undefined ? [fromRecord(topic, record)] : [];
}
