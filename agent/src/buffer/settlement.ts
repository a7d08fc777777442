/** What is acknowledged or given up, and how much of that is not written yet. */
import type { AgedTick, Batch } from "./batch.ts";
import { Positions } from "./positions.ts";
import { Taken } from "./taken.ts";

export class Settlement {
  readonly #taken = new Taken();
  #done = new Positions();
  /** The first position that is not on the disk, now and at the start. */
  #committedEnd = 1;
  #startEnd = 1;
  /** Acknowledged ticks that are not on the disk. */
  #ahead = 0;
  /** Acknowledgements of ticks on the disk since they were written down last. */
  unwritten = 0;
  /** Ticks that were given up. */
  lost = 0;

  /** Takes over a database that holds everything below `end`. */
  begin(done: readonly number[], end: number): void {
    this.#done = new Positions(done);
    this.#committedEnd = end;
    this.#startEnd = end;
  }

  get committedEnd(): number {
    return this.#committedEnd;
  }

  /** Committed or acknowledged since the start. */
  get safe(): number {
    return this.#committedEnd - this.#startEnd + this.#ahead;
  }

  /** Below `end` and neither acknowledged nor given up. */
  waiting(end: number): number {
    return end - this.#done.size;
  }

  /** See {@link Positions}, below `end`; what is written of it counts as written. */
  flatBelow(end: number): number[] {
    this.unwritten = 0;
    return this.#done.flatBelow(end);
  }

  /** Of the ticks that were taken and are not acknowledged, the uptime when the oldest came. */
  get oldestTakenUptimeMs(): number | undefined {
    return this.#taken.oldestUptimeMs;
  }

  take(tick: AgedTick): void {
    this.#taken.add(tick);
  }

  /** What was taken and is not acknowledged. */
  taken(): AgedTick[] {
    return this.#taken.all();
  }

  /** Everything taken up to and including the tick with this position is acknowledged. */
  settle(position: number): void {
    let settled: number;
    do {
      settled = this.#taken.shift(position);
      this.#done.add(settled);
      if (settled >= this.#committedEnd) this.#ahead += 1;
      else this.unwritten += 1;
    } while (settled !== position);
  }

  isDone(position: number): boolean {
    return this.#done.has(position);
  }

  /** @returns the index of the first tick that is not acknowledged; -1 when all are */
  firstUnsettled(batch: Batch): number {
    const [range] = this.#done.missing(batch.first, batch.end - 1);
    return range === undefined ? -1 : range[0] - batch.first;
  }

  /** How many of their ticks are not acknowledged. */
  unsettled(...batches: readonly Batch[]): number {
    const ranges = batches.flatMap(({ first, end }) => this.#done.missing(first, end - 1));
    return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  }

  giveUp(from: number, to: number): void {
    const before = this.#done.size;
    this.#done.add(from, to);
    this.lost += this.#done.size - before;
  }

  /** @param next what is not committed yet */
  committed(batch: Batch, next: Batch): void {
    this.#committedEnd += batch.size;
    this.#ahead = next.size - this.unsettled(next);
  }
}
