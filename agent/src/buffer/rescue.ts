/**
 * What is in memory of a database that is set aside: it is written into the new one, or a restart before its
 * acknowledgement would find positions that no chunk has.
 */
import { type AgedTick, Batch } from "./batch.ts";
import { Positions } from "./positions.ts";
import type { NumberedStream } from "./streams.ts";

export class Rescue {
  readonly #streamOf: (id: number) => NumberedStream;
  /** One for each run of positions, ascending. */
  #batches: Batch[] = [];

  constructor(streamOf: (id: number) => NumberedStream) {
    this.#streamOf = streamOf;
  }

  /**
   * Takes the place of what was to be rescued before.
   * @param ticks in any order
   * @returns the positions below `end` that nobody has, see {@link Positions}
   */
  begin(ticks: readonly AgedTick[], end: number): number[] {
    const below = ticks.filter(({ position }) => position < end);
    const rescued = new Positions();
    const absent = new Positions();
    this.#batches = [];
    for (const tick of below.sort((a, b) => a.position - b.position)) {
      rescued.add(tick.position);
      this.#add(tick);
    }
    for (const [from, to] of rescued.missing(1, end - 1)) absent.add(from, to);
    return absent.flat();
  }

  /** One that the disk refuses stays, for the next time. @throws what `commit` throws */
  async store(commit: (batch: Batch) => Promise<void>): Promise<void> {
    for (let [batch] = this.#batches; batch !== undefined; [batch] = this.#batches) {
      await commit(batch);
      if (this.#batches[0] === batch) this.#batches.shift(); // else that was rescued anew meanwhile
    }
  }

  #add(tick: AgedTick): void {
    const { seq } = JSON.parse(tick.payload) as { seq: number };
    const newest = this.#batches.at(-1);
    const isNext = newest?.end === tick.position;
    const batch = isNext ? newest : new Batch();
    if (!isNext) this.#batches.push(batch);
    batch.add({ ...tick, stream: this.#streamOf(tick.stream.id), seq });
  }
}
