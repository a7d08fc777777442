/**
 * Finds what is missing in streams that are read completely, each gap exactly once. What the agent knows to be missing
 * comes as a gap record; a jump in `seq` that no gap record explains is a `hole`; an `epoch` that began without a word of
 * how the one before has ended leaves open what is missing of that. For exclusive consumers only: a pool member sees a
 * subset of every stream.
 */
import type { Gap, TickRecord } from "../tick.ts";
import { explained, explainedBy, hole, type MissingTicks, openEnd, type Range, toldBy } from "./missing.ts";

interface Progress {
  nextSeq: number;
  /** What was found to be missing and may still come; bounded, oldest dropped. */
  holes: Range[];
  /** Epochs whose end its gap records have told; bounded, oldest dropped. */
  toldOf: string[];
}

/** By epoch. */
type Epochs = Map<string, Progress>;

const maxHoles = 64;
const maxEpochs = 2;

export class GapDetector {
  readonly #maxStreams: number;
  readonly #streams = new Map<string, Epochs>();

  /** @param maxStreams streams beyond it make the longest-silent one forgotten (`dropOldest`) */
  constructor(maxStreams = 10_000) {
    this.#maxStreams = maxStreams;
  }

  /**
   * Takes note of a record and returns what it proves to be missing, in order of sequence. A record that fills a hole is
   * noted too, from wherever it came.
   */
  observe(topic: string, record: TickRecord): MissingTicks[] {
    const epochs = this.#epochsOf(topic);
    const progress = epochs.get(record.epoch);
    if (progress === undefined) return begin(topic, epochs, record);
    const { seq } = record;
    if (seq < progress.nextSeq) return fills(progress, seq) ? newsOf(topic, epochs, record) : [];
    const from = progress.nextSeq;
    progress.nextSeq = seq + 1;
    return missingBefore(topic, epochs, from, record);
  }

  /** Whether the agent has told by now how the epoch ended whose end was found to be open. */
  isExplained({ topic, reason, epoch }: MissingTicks): boolean {
    return reason === "epoch" && isTold(this.#streams.get(topic), epoch);
  }

  #epochsOf(topic: string): Epochs {
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

/**
 * The first record ever seen of a stream is where reading begins; a later epoch begins at 1. One that sorts before those
 * that are known may be late, or of a device whose clock was behind.
 */
function begin(topic: string, epochs: Epochs, record: TickRecord): MissingTicks[] {
  const before = [...epochs].at(-1);
  const newest = [...epochs.keys()].every((epoch) => record.epoch > epoch);
  epochs.set(record.epoch, { nextSeq: record.seq + 1, holes: [], toldOf: [] });
  if (epochs.size > maxEpochs) epochs.delete(oldestOf(epochs));
  if (before !== undefined && newest) {
    const missing = missingBefore(topic, epochs, 1, record);
    return [...missing, ...openEndOf(topic, epochs, record, before)];
  }
  const isOwn = record.type === "gap" && explainedBy(record) !== undefined;
  const told = isOwn && record.count !== 0 ? [toldBy(topic, record)] : newsOf(topic, epochs, record);
  return before === undefined ? told : [...told, ...openEndOf(topic, epochs, record, before)];
}

function openEndOf(
  topic: string,
  epochs: Epochs,
  { epoch }: TickRecord,
  [before, { nextSeq }]: [string, Progress],
): MissingTicks[] {
  return isTold(epochs, before) || isTold(epochs, epoch) ? [] : [openEnd(topic, before, nextSeq)];
}

function isTold(epochs: Epochs | undefined, epoch: string): boolean {
  return [...(epochs?.values() ?? [])].some(({ toldOf }) => toldOf.includes(epoch));
}

function noteTold(epochs: Epochs, { epoch, ofEpoch }: Gap): void {
  const toldOf = epochs.get(epoch)?.toldOf;
  if (toldOf === undefined || ofEpoch === undefined) return;
  toldOf.push(ofEpoch);
  toldOf.splice(0, toldOf.length - maxEpochs);
}

/** Everything in `[from, record.seq)`: explained by the record as far as it goes, holes beside it. */
function missingBefore(topic: string, epochs: Epochs, from: number, record: TickRecord): MissingTicks[] {
  const missing = explained(
    hole(topic, record.epoch, [from, record.seq - 1]),
    record.type === "gap" ? [record] : [],
  );
  for (const { reason, fromSeq, toSeq } of missing) {
    if (reason === "hole") note(epochs.get(record.epoch), [fromSeq, toSeq]);
  }
  return [...missing, ...newsOf(topic, epochs, record)];
}

/** What a record tells beside numbers of its own epoch; those are accounted for wherever they should have been. */
function newsOf(topic: string, epochs: Epochs, record: TickRecord): MissingTicks[] {
  if (record.type === "trade" || explainedBy(record) !== undefined) return [];
  noteTold(epochs, record);
  const { ofEpoch, fromSeq = 1, toSeq } = record;
  const earlier = ofEpoch === undefined ? undefined : epochs.get(ofEpoch);
  if (earlier === undefined) return [toldBy(topic, record)];
  if (toSeq === undefined) return [{ ...toldBy(topic, record), fromSeq: earlier.nextSeq }];
  return endOf(earlier, topic, record, [fromSeq, toSeq]);
}

/** How an epoch ended, of which everything was read until then. */
function endOf(progress: Progress, topic: string, record: Gap, [from, toSeq]: Range): MissingTicks[] {
  const fromSeq = Math.max(from, progress.nextSeq);
  if (fromSeq > toSeq) return [];
  progress.nextSeq = toSeq + 1;
  note(progress, [fromSeq, toSeq]);
  return [{ ...toldBy(topic, record), fromSeq, toSeq }];
}

function note(progress: Progress | undefined, missing: Range): void {
  progress?.holes.push(missing);
  progress?.holes.splice(0, progress.holes.length - maxHoles);
}

/** Takes a number out of the holes. @returns false when it was in none of them */
function fills({ holes }: Progress, seq: number): boolean {
  const index = holes.findIndex(([from, to]) => from <= seq && seq <= to);
  const found = holes[index];
  if (found === undefined) return false;
  const rest: Range[] = [
    [found[0], seq - 1],
    [seq + 1, found[1]],
  ];
  holes.splice(index, 1, ...rest.filter(([from, to]) => from <= to));
  return true;
}
