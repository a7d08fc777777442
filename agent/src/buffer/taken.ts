/** The ticks that were taken and are not settled yet, in the order of taking. Its bound is the taker's window. */
import type { AgedTick } from "./batch.ts";

export class Taken {
  #ticks: AgedTick[] = [];
  #front = 0;

  add(tick: AgedTick): void {
    this.#ticks.push(tick);
  }

  oldest(): AgedTick | undefined {
    return this.#ticks[this.#front];
  }

  /** Removes everything up to and including the tick with this position. */
  settle(position: number, settled: (position: number) => void): void {
    for (;;) {
      const tick = this.#ticks[this.#front];
      if (tick === undefined) throw new Error(`the tick ${position} is settled without having been taken`);
      this.#front += 1;
      settled(tick.position);
      if (tick.position === position) break;
    }
    if (this.#front <= this.#ticks.length / 2) return;
    this.#ticks = this.#ticks.slice(this.#front);
    this.#front = 0;
  }
}
