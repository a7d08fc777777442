/** What left a buffer over many lives, judged number by number. */
import { decodePayload, type Gap } from "@equipoise/shared";
import { type Judgement, judge } from "../agent/completeness.ts";

/** First and last number of one life that were committed for certain, those of gap records and given up ones among them. */
type Committed = readonly [from: number, to: number];

interface Stream {
  payloads: string[];
  /** The lives in which each number left the device. */
  lives: Map<number, number[]>;
  committed: Committed[];
}

export class BufferLedger {
  readonly #streams = new Map<string, Stream>();

  sent(symbol: string, payload: string, life: number): void {
    const stream = this.#of(symbol);
    const [record] = decodePayload(Buffer.from(payload));
    if (record === undefined) throw new Error("a payload without a record");
    stream.payloads.push(payload);
    stream.lives.set(record.seq, [...(stream.lives.get(record.seq) ?? []), life]);
  }

  committed(symbol: string, from: number, to: number): void {
    this.#of(symbol).committed.push([from, to]);
  }

  /** How many numbers were committed for certain. */
  get size(): number {
    const all = [...this.#streams.values()].flatMap(({ committed }) => committed);
    return all.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  }

  /** In words, what is not as it must be. */
  faults(): string[] {
    return [...this.#streams].flatMap(([symbol, stream]) => {
      const judgement = judge(stream.payloads);
      const { holes, usedTwice } = judgement;
      return [
        ...holes.map((seq) => `${seq} is neither there nor told of`),
        ...usedTwice.map((seq) => `${seq} is used twice`),
        ...forgotten(stream, judgement).map((seq) => `${seq} was committed and is a crash at most`),
        ...toldInVain(stream, judgement).map((seq) => `${seq} is told of as lost and was there in that life`),
      ].map((fault) => `${symbol}: ${fault}`);
    });
  }

  #of(symbol: string): Stream {
    const known = this.#streams.get(symbol) ?? { payloads: [], lives: new Map(), committed: [] };
    this.#streams.set(symbol, known);
    return known;
  }
}

/** A crash costs nothing that was committed. */
function forgotten({ lives, committed }: Stream, { gaps }: Judgement): number[] {
  const told = new Set(gaps.filter(({ reason }) => reason !== "crash").flatMap(numbersOf));
  return committed.flatMap(numbersFrom).filter((seq) => !lives.has(seq) && !told.has(seq));
}

/** What left the device in an earlier life may be given up later, when its PUBACK was not noted. */
function toldInVain({ lives }: Stream, { gaps }: Judgement): number[] {
  return gaps
    .filter(({ reason }) => reason !== "crash")
    .flatMap((gap) => {
      const toldIn = Math.min(...(lives.get(gap.seq) ?? []));
      return numbersOf(gap).filter((seq) => lives.get(seq)?.some((life) => life >= toldIn) === true);
    });
}

const numbersOf = ({ fromSeq = 1, toSeq = 0 }: Gap): number[] => numbersFrom([fromSeq, toSeq]);

const numbersFrom = ([from, to]: Committed): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
