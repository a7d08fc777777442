/**
 * What is to be handled before a record: holes in front of it are filled at once and in order, and what stays missing is
 * told exactly once. When the application fails on the way, the next attempt goes on where this one was.
 */
import type { TickRecord } from "../tick.ts";
import { GapDetector } from "./gaps.ts";
import { type MissingTicks, partOf } from "./missing.ts";

/** Contract: what comes in place of something missing, in order of sequence. */
export interface Filler {
  fill(missing: MissingTicks): AsyncIterable<TickRecord | MissingTicks> | Iterable<TickRecord | MissingTicks>;
}

/** Asks nobody. */
export const noFiller: Filler = { fill: (missing) => [missing] };

export class Completion {
  readonly #filler: Filler;
  readonly #onGap: (missing: MissingTicks) => Promise<void> | void;
  readonly #gaps = new GapDetector();
  /** What is missing and not told yet, by topic. */
  readonly #open = new Map<string, MissingTicks[]>();

  constructor(filler: Filler, onGap: (missing: MissingTicks) => Promise<void> | void) {
    this.#filler = filler;
    this.#onGap = onGap;
  }

  /** The records that come before this one, each as soon as the one before it was handled. */
  async *before(topic: string, record: TickRecord): AsyncGenerator<TickRecord> {
    const open = [...(this.#open.get(topic) ?? []), ...this.#gaps.observe(topic, record)];
    if (open.length === 0) return;
    this.#open.set(topic, open);
    yield* this.#complete(topic, open, 0);
    this.#open.delete(topic);
  }

  /** @param left so many stay open */
  async *#complete(topic: string, open: MissingTicks[], left: number): AsyncGenerator<TickRecord> {
    for (let [first] = open; first !== undefined && open.length > left; [first] = open) {
      if (this.#gaps.isExplained(first)) {
        open.shift();
        continue;
      }
      for await (const item of this.#filler.fill(first)) {
        if ("type" in item) yield* this.#filled(topic, open, item);
        else await this.#onGap(item);
        const end = "type" in item ? item.seq : item.toSeq;
        open[0] = restOf(first, (end ?? 0) + 1);
      }
      open.shift();
    }
  }

  /** A gap record among what fills a hole may have news of its own. */
  async *#filled(topic: string, open: MissingTicks[], record: TickRecord): AsyncGenerator<TickRecord> {
    const left = open.length;
    open.unshift(...this.#gaps.observe(topic, record));
    yield* this.#complete(topic, open, left);
    yield record;
  }
}

function restOf(missing: MissingTicks, from: number): MissingTicks {
  const { fromSeq, toSeq } = missing;
  return fromSeq === undefined || toSeq === undefined ? missing : partOf(missing, from, toSeq);
}
