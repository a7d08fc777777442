/** The ticks that were taken from the buffer and are not yet acknowledged, oldest first. */
import type { BufferedTick } from "../buffer/queue.ts";

export interface InFlight {
  readonly tick: BufferedTick;
  acknowledged: boolean;
}

export class Window {
  /** A ring would save nothing: the front is cut off as rarely as it is half of the whole. */
  #entries: InFlight[] = [];
  #front = 0;

  get size(): number {
    return this.#entries.length - this.#front;
  }

  add(tick: BufferedTick): InFlight {
    const entry = { tick, acknowledged: false };
    this.#entries.push(entry);
    return entry;
  }

  oldest(): BufferedTick | undefined {
    return this.#entries[this.#front]?.tick;
  }

  /**
   * Marks one as acknowledged.
   * @returns the position up to which everything now is, or undefined when that has not moved
   */
  acknowledge(entry: InFlight): number | undefined {
    entry.acknowledged = true;
    let settled: number | undefined;
    for (;;) {
      const first = this.#entries[this.#front];
      if (!first?.acknowledged) break;
      settled = first.tick.position;
      this.#front += 1;
    }
    if (this.#front > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#front);
      this.#front = 0;
    }
    return settled;
  }
}
