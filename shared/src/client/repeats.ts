/**
 * Remembers which records this consumer has handled, so that it drops its own repeats. Two generations: when the
 * younger is full it becomes the older and the oldest records are forgotten (`dropOldest`), so the last
 * `maxRemembered` records are always known and never more than twice as many are kept.
 */
import type { Sequenced } from "../tick.ts";

type Generation = Map<string, Set<number>>;

export class Repeats {
  readonly #maxRemembered: number;
  #young: Generation = new Map();
  #old: Generation = new Map();
  #count = 0;
  readonly #running = new Map<string, Promise<void>>();

  constructor(maxRemembered: number) {
    this.#maxRemembered = maxRemembered;
  }

  /**
   * Handles a record unless it has been handled before. A repeat that comes while its record is still in the handler
   * (the connection was lost meanwhile) shares that outcome.
   * @throws what `handle` throws; the record then counts as not handled
   */
  async once(topic: string, record: Sequenced, handle: () => Promise<void>): Promise<"handled" | "repeat"> {
    const stream = `${topic}\n${record.epoch}`;
    if (this.#young.get(stream)?.has(record.seq) || this.#old.get(stream)?.has(record.seq)) return "repeat";
    const key = `${stream}\n${record.seq}`;
    const running = this.#running.get(key);
    if (running !== undefined) {
      await running;
      return "repeat";
    }
    const handling = handle();
    this.#running.set(key, handling);
    try {
      await handling;
      this.#remember(stream, record.seq);
      return "handled";
    } finally {
      this.#running.delete(key);
    }
  }

  #remember(stream: string, seq: number): void {
    if (this.#count === this.#maxRemembered) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#count = 0;
    }
    const known = this.#young.get(stream);
    if (known === undefined) this.#young.set(stream, new Set([seq]));
    else known.add(seq);
    this.#count += 1;
  }
}
