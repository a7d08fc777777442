/** The chunks that are wholly acknowledged, wherever they stand: which are the oldest, and how many bytes they take. */
import { Positions } from "./positions.ts";
import type { ChunkRow, Statements } from "./schema.ts";

export class Acknowledged {
  readonly #statements: Statements;
  #bytes = 0;
  /** Where no chunk has to be counted any more. */
  #counted = new Positions();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns what restores the present state */
  mark(): () => void {
    const [bytes, counted] = [this.#bytes, this.#counted.flat()];
    return () => {
      this.#bytes = bytes;
      this.#counted = new Positions(counted);
    };
  }

  count(done: Positions): void {
    for (const [from, to] of done.ranges)
      for (const [after, end] of this.#counted.missing(from, to)) this.#countWithin(after - 1, end, from);
  }

  /** @param done what was counted */
  *oldestFirst(done: Positions): IterableIterator<ChunkRow> {
    for (const [from, to] of done.ranges) {
      let row = this.#statements.chunkFrom.get(from);
      for (; row !== undefined && lastOf(row) <= to; row = this.#statements.chunkFrom.get(lastOf(row) + 1))
        yield row;
    }
  }

  /** One of them is deleted. */
  remove({ size }: ChunkRow): void {
    this.#bytes -= size;
  }

  /** @param doneFrom where what is done begins; behind 0 there is no position that could have a chunk half done */
  #countWithin(after: number, end: number, doneFrom: number): void {
    for (const row of this.#statements.chunksUpTo.all({ after, end })) {
      this.#bytes += row.size;
      this.#counted.add(doneFrom === 0 ? 0 : row.first, lastOf(row));
    }
  }
}

export const lastOf = ({ first, count }: ChunkRow): number => first + count - 1;
