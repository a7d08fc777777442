/** The ticks that were taken and are not settled yet, in the order of taking. Who takes them holds them as long itself. */
import { Deque } from "@equipoise/shared";
import type { AgedTick } from "./batch.ts";

export class Taken {
  readonly #ticks = new Deque<AgedTick>();

  add(tick: AgedTick): void {
    this.#ticks.push(tick);
  }

  /** The agent's uptime when the oldest came; undefined without any. */
  get oldestUptimeMs(): number | undefined {
    return this.#ticks.first?.bufferedUptimeMs;
  }

  all(): AgedTick[] {
    return Array.from({ length: this.#ticks.length }, (_, index) => this.#ticks.at(index) as AgedTick);
  }

  /** Removes the oldest, on the way to the tick with this position. @returns its position */
  shift(position: number): number {
    const oldest = this.#ticks.shift();
    if (oldest === undefined) throw new Error(`the tick ${position} is settled without having been taken`);
    return oldest.position;
  }
}
