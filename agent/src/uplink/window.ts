/** The ticks that were taken from the buffer and are not yet acknowledged, oldest first. */
import { Deque } from "@equipoise/shared";
import type { BufferedTick } from "../buffer/queue.ts";

export interface InFlight {
  readonly tick: BufferedTick;
  acknowledged: boolean;
}

export class Window {
  readonly #entries = new Deque<InFlight>();

  get size(): number {
    return this.#entries.length;
  }

  add(tick: BufferedTick): InFlight {
    const entry = { tick, acknowledged: false };
    this.#entries.push(entry);
    return entry;
  }

  oldest(): BufferedTick | undefined {
    return this.#entries.first?.tick;
  }

  /**
   * Marks one as acknowledged.
   * @returns the position up to which everything now is, or undefined when that has not moved
   */
  acknowledge(entry: InFlight): number | undefined {
    entry.acknowledged = true;
    let settled: number | undefined;
    while (this.#entries.first?.acknowledged) settled = this.#entries.shift()?.tick.position;
    return settled;
  }
}
