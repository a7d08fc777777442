/**
 * Where to begin a search among the chunks: before every so many of them stands what number each stream had then. A
 * stream's numbers only rise, so the chunk with one of them is found by halving, and a stream with few records is not
 * looked for where it had none. One row for 64 chunks is next to nothing to write; an index of each chunk's streams would
 * be a page for each of them in every commit.
 */
import { decodeRanges, encodeRanges } from "./chunk.ts";
import type { Statements } from "./schema.ts";

export const chunksPerSignpost = 64;

type Reading = Pick<Statements, "signpostUpTo">;

export class Signposts {
  readonly #statements: Statements;
  #chunks = chunksPerSignpost;
  #newest = 0;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Within the transaction that adds the chunk, before its streams are noted; a second try changes nothing. */
  pass(first: number): void {
    if (first <= this.#newest) return;
    this.#newest = first;
    this.#chunks += 1;
    if (this.#chunks < chunksPerSignpost) return;
    this.#chunks = 0;
    const numbers = this.#statements.streams.all().map(({ id, seq }) => {
      return { streamId: id, fromSeq: 1, toSeq: seq };
    });
    this.#statements.addSignpost.run(first, encodeRanges(numbers));
  }

  /** Those before all chunks lead nowhere. */
  trim(): void {
    this.#statements.deleteSignposts.run();
  }
}

/** The position of a signpost that the record with the number is behind, as near as there is one; 0 without one. */
export function signpostBefore({ signpostUpTo }: Reading, streamId: number, seq: number): number {
  let [found, low, high] = [0, 1, signpostUpTo.get(Number.MAX_SAFE_INTEGER)?.first ?? 0];
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const post = signpostUpTo.get(middle);
    if (post === undefined) low = middle + 1;
    else if (numberAt(post.numbers, streamId) >= seq) high = post.first - 1;
    else [found, low] = [post.first, middle + 1];
  }
  return found;
}

/** Where it is damaged, one that sends to an earlier one. */
function numberAt(numbers: Buffer, streamId: number): number {
  const ranges = decodeRanges(numbers);
  if (ranges === undefined) return Number.POSITIVE_INFINITY;
  return ranges.find((range) => range.streamId === streamId)?.toSeq ?? 0;
}
