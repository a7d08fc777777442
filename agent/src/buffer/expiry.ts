/**
 * Gives up the ticks that are at hand and too old, with the next commit; those on the disk the commit itself does away
 * with. So that this happens, and the uptime that ages are by is not lost in a crash, there is a commit now and then
 * while ticks wait, also of a feed that has ended.
 */
import type { Batch } from "./batch.ts";
import { lostWith } from "./given-up.ts";
import { type GroupCommit, lazyMs } from "./group-commit.ts";
import type { BufferOptions } from "./options.ts";
import type { Outlet } from "./outlet.ts";
import type { Settlement } from "./settlement.ts";

interface Parts {
  uptimeMs: () => number;
  outlet: Outlet;
  settlement: Settlement;
  groupCommit: GroupCommit;
}

/** A tick may become older than it should by this share, within these bounds. */
const lateShare = 0.01;
const maxLateMs = 3_600_000;

export class Expiry {
  readonly #options: Pick<BufferOptions, "clock" | "maxAgeMs">;
  readonly #parts: Parts;
  #stop: () => void = () => undefined;

  constructor(options: Pick<BufferOptions, "clock" | "maxAgeMs">, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
  }

  start(): void {
    const { clock, maxAgeMs } = this.#options;
    const { outlet, settlement, groupCommit } = this.#parts;
    const periodMs = Math.max(lazyMs, Math.min(maxLateMs, maxAgeMs * lateShare));
    this.#stop = clock.every(periodMs, () => {
      if (!outlet.isEmpty() || settlement.oldestTakenUptimeMs !== undefined) groupCommit.changed(0);
    });
  }

  stop(): void {
    this.#stop();
  }

  /** @param batch of the next commit, which notes what is lost @returns whether there was any */
  giveUp(batch: Batch): boolean {
    const { outlet, settlement, uptimeMs } = this.#parts;
    const ticks = outlet
      .takeOlder(uptimeMs() - this.#options.maxAgeMs)
      .toSorted((a, b) => a.position - b.position);
    for (const { position } of ticks) settlement.giveUp(position, position);
    const numbered = ticks.map(({ stream, payload }) => {
      const { seq } = JSON.parse(payload) as { seq: number };
      return { streamId: stream.id, seq, payload };
    });
    batch.dropped.push(...lostWith(numbered));
    return ticks.length > 0;
  }
}
