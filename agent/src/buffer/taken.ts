/**
 * The ticks that were taken and are not settled yet, in the order of taking. Its bound is the taker's window. It keeps no
 * more of them than it needs, so that who has taken one decides how long its record stays in memory.
 */
import { Deque } from "@equipoise/shared";
import type { AgedTick } from "./batch.ts";

export class Taken {
  readonly #positions = new Deque<number>();
  readonly #uptimesMs = new Deque<number>();

  add({ position, bufferedUptimeMs }: AgedTick): void {
    this.#positions.push(position);
    this.#uptimesMs.push(bufferedUptimeMs);
  }

  /** The agent's uptime when the oldest came; undefined without any. */
  get oldestUptimeMs(): number | undefined {
    return this.#uptimesMs.first;
  }

  /** Removes the oldest, on the way to the tick with this position. @returns its position */
  shift(position: number): number {
    const oldest = this.#positions.shift();
    this.#uptimesMs.shift();
    if (oldest === undefined) throw new Error(`the tick ${position} is settled without having been taken`);
    return oldest;
  }
}
