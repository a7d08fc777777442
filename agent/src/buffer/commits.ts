/** What the database is given in one transaction. */
import type { Batch } from "./batch.ts";
import { type BufferOptions, boundsOf } from "./options.ts";
import type { Outlet } from "./outlet.ts";
import type { Commit } from "./protocol.ts";
import type { Settlement } from "./settlement.ts";
import { endedStreams, reservedForLong, type Streams } from "./streams.ts";
import { lostWithBatches } from "./unstored.ts";
import type { Uptime } from "./uptime.ts";

export interface CommitsOptions {
  options: BufferOptions;
  settlement: Settlement;
  outlet: Outlet;
  uptime: Uptime;
  streams: () => Streams;
  /** Less of the disk is free than is to be left. */
  isShort: () => boolean;
}

export class Commits {
  readonly #parts: CommitsOptions;

  constructor(parts: CommitsOptions) {
    this.#parts = parts;
  }

  /** The batch that comes next, and whatever else has changed. */
  of(batch: Batch): Commit {
    const { options, settlement } = this.#parts;
    const isKept = options.keepAcknowledgedMs > 0 && !this.#parts.isShort();
    const needed = isKept || settlement.firstUnsettled(batch) >= 0;
    return {
      ...this.#without(settlement.committedEnd + batch.size),
      chunk: needed ? batch.chunk() : undefined,
      streams: this.#parts.streams().changed(batch.lastSeq),
      dropped: batch.dropped,
      told: batch.told,
    };
  }

  /** Once more what a database had that is set aside; its streams are in the new one already. */
  rescuing(batch: Batch): Commit {
    const commit = this.#without(this.#parts.settlement.committedEnd);
    return { ...commit, chunk: batch.chunk(), dropped: batch.dropped };
  }

  /** On a full disk deleting may succeed where adding does not, and makes the room. */
  trimming(): Commit {
    const { options, settlement, outlet, uptime } = this.#parts;
    const bounds = boundsOf(options, uptime.nowMs(), outlet.backlog.untouched);
    return { ...this.#without(settlement.committedEnd), bounds: { ...bounds, keepBytes: 0 } };
  }

  /** Numbers for what comes while the disk takes no ticks; undefined while there are enough. */
  reserving(): Commit | undefined {
    const streams = reservedForLong([...this.#parts.streams().all()]);
    if (streams.length === 0) return undefined;
    return {
      ...this.#without(this.#parts.settlement.committedEnd),
      streams,
      bounds: undefined,
      isVital: true,
    };
  }

  /** The last one, without the ticks of these batches: they are lost, and every number that was given is told of. */
  givingUp(batches: readonly Batch[]): Commit {
    const { settlement } = this.#parts;
    const dropped = lostWithBatches(batches, (position) => settlement.isDone(position));
    return {
      ...this.#without(settlement.committedEnd),
      streams: endedStreams([...this.#parts.streams().all()]),
      dropped,
      bounds: undefined,
      isVital: true,
    };
  }

  /** Nothing but what is done. @param end positions from here on have no chunk, so nothing may be said of them */
  #without(end: number): Commit {
    const { options, settlement, outlet, uptime } = this.#parts;
    return {
      chunk: undefined,
      forgotten: this.#parts.streams().forgotten,
      streams: [],
      done: settlement.flatBelow(end),
      uptimeMs: uptime.nowMs(),
      dropped: [],
      told: [],
      isVital: false,
      bounds: boundsOf(options, uptime.nowMs(), outlet.backlog.untouched),
    };
  }
}
