/**
 * Gathers ticks into commits. One commit is under way at a time; what arrives meanwhile goes into the next one. A commit
 * that the disk refuses is tried again unchanged, so numbers stay in order and nothing accepted is dropped.
 *
 * When a commit begins: at once when it is large, when numbers must be reserved, or when somebody waits for it; as soon
 * as a tick has been in memory alone, unacknowledged, for `latencyMs`; and otherwise, when all there is to write is
 * acknowledged, only after `lazyMs`. That is what keeps a healthy link from wearing out the disk.
 */
import { type Clock, EquipoiseError, type Logger } from "@equipoise/shared";
import { Batch, type NumberedTick } from "./batch.ts";
import { FlushWaiters } from "./flush-waiters.ts";

export interface GroupCommitOptions {
  /** How long a tick may be in memory alone while it is not acknowledged. */
  latencyMs: number;
  clock: Clock;
  uptimeMs: () => number;
  logger: Logger;
  /** Performs a commit of the batch and of whatever else has changed. */
  commit: (batch: Batch) => Promise<void>;
  /** The disk has refused one, which will be tried again. */
  refused: () => Promise<void>;
  /** The index of the first tick of the batch that is not acknowledged; -1 when all are. */
  firstUnsettled: (batch: Batch) => number;
  /** A commit is done, and no longer among what waits. */
  committed: () => void;
  /** Cannot go on. */
  failed: (error: unknown) => void;
}

/** A commit of this size waits for no more. */
const batchTicks = 1_024;
const batchBytes = 256 * 2 ** 10;
/** How long what is acknowledged may wait for its commit. */
export const lazyMs = 10_000;
const retryMs = 1_000;

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #flushWaiters = new FlushWaiters();
  #pending = new Batch();
  /** One; in parts only when it is for the last time. */
  #committing: Batch[] = [];
  /** Something beside the pending ticks is to be written, at the latest so long after it was first said. */
  #changedMs = Number.POSITIVE_INFINITY;
  #lastBegunMs = 0;
  /** When the next commit begins for certain, in uptime. */
  #dueByMs = Number.POSITIVE_INFINITY;
  /** Commits begun and done. */
  #begun = 0;
  #done = 0;
  #timer: { dueMs: number; cancel: () => void } | undefined;
  #due = false;
  #running = false;
  #closing = false;
  #refusal: EquipoiseError | undefined;
  #endWait: (() => void) | undefined;
  #broken: { error: unknown } | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Ticks that are not committed yet, their bytes, and whether the disk refuses them. */
  get waiting(): { ticks: number; bytes: number; refused: boolean } {
    let { size: ticks, bytes } = this.#pending;
    for (const batch of this.#committing) {
      ticks += batch.size;
      bytes += batch.bytes;
    }
    return { ticks, bytes, refused: this.#refusal !== undefined || this.#broken !== undefined };
  }

  /** The ticks that are not committed yet are in these, oldest first. */
  get batches(): readonly Batch[] {
    return [...this.#committing, this.#pending];
  }

  get pending(): Batch {
    return this.#pending;
  }

  /** @returns the batch that it is in now */
  add(tick: NumberedTick): Batch {
    const pending = this.#pending;
    pending.add(tick);
    if (pending.size >= batchTicks || pending.bytes >= batchBytes) this.commitNow();
    else if (pending.size === 1) this.#arm(this.#options.latencyMs);
    return pending;
  }

  /** Something beside ticks is to be written; at the latest after `delayMs`. */
  changed(delayMs: number): void {
    if (delayMs >= this.#changedMs) return; // which was said before and is due earlier
    this.#changedMs = delayMs;
    this.#dueByMs = Math.min(this.#dueByMs, this.#options.uptimeMs() + delayMs);
    this.#arm(delayMs);
  }

  /** A commit begins at once, or as soon as the one before is done. */
  commitNow(): void {
    this.#due = true;
    if (!this.#running) void this.#run();
  }

  /**
   * Resolves when everything added so far is committed and every change so far is written.
   * @throws EquipoiseError EQ_STORE_FULL, EQ_STORE_FAILED when it cannot be in {@link finish}; a failure for good
   */
  flush(): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken.error);
    const more = this.#hasMore();
    if (!more && this.#begun === this.#done) return Promise.resolve();
    const flushed = this.#flushWaiters.wait(more ? this.#begun + 1 : this.#begun);
    if (more) this.commitNow();
    return flushed;
  }

  /**
   * Commits what is left. A commit that is refused from now on is tried again only in parts.
   * @returns why the disk did not take all of it; undefined when it did @throws a failure for good
   */
  async finish(): Promise<EquipoiseError | undefined> {
    this.#closing = true;
    this.#endWait?.();
    try {
      await this.flush();
      return undefined;
    } catch (error) {
      if (isWeather(error)) return error;
      throw error;
    }
  }

  #hasMore(): boolean {
    return this.#pending.size > 0 || this.#changedMs < Number.POSITIVE_INFINITY;
  }

  /** Sees to it that within this time it is looked at whether a commit is due. */
  #arm(delayMs: number): void {
    if (delayMs <= 0) {
      this.commitNow();
      return;
    }
    const dueMs = this.#options.uptimeMs() + delayMs;
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.#timer?.cancel();
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#arm(this.#dueInMs());
    });
    this.#timer = { dueMs, cancel };
  }

  #dueInMs(): number {
    const { firstUnsettled, latencyMs, uptimeMs } = this.#options;
    const oldest = firstUnsettled(this.#pending);
    const commitByMs = oldest < 0 ? Number.POSITIVE_INFINITY : this.#pending.uptimeMs(oldest) + latencyMs;
    return Math.min(commitByMs, this.#dueByMs, this.#lastBegunMs + lazyMs) - uptimeMs();
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#due) await this.#commitPending();
    } catch (error) {
      this.#broken = { error };
      this.#flushWaiters.reject(error);
      if (!this.#closing || !isWeather(error)) this.#options.failed(error);
    } finally {
      this.#running = false;
    }
  }

  async #commitPending(): Promise<void> {
    this.#due = false;
    this.#changedMs = Number.POSITIVE_INFINITY;
    this.#begun += 1;
    this.#lastBegunMs = this.#options.uptimeMs();
    this.#dueByMs = Number.POSITIVE_INFINITY;
    const batch = this.#pending;
    this.#committing = [batch];
    this.#pending = new Batch(batch.bytes);
    await this.#persist(batch);
    this.#committing = [];
    batch.release();
    this.#done += 1;
    this.#options.committed();
    this.#flushWaiters.resolveUpTo(this.#done);
    if (this.#hasMore()) this.#arm(Math.max(1, this.#dueInMs()));
  }

  async #persist(batch: Batch): Promise<void> {
    for (;;) {
      try {
        await this.#options.commit(batch);
        this.#accepted();
        return;
      } catch (error) {
        if (!isWeather(error)) throw error;
        if (this.#closing) return await this.#persistParts();
        this.#refused(error);
        await this.#options.refused();
        if (!this.#closing) await this.#wait(retryMs);
      }
    }
  }

  /** For the last time: as much as the disk takes. The attempt before may have made some room. */
  async #persistParts(): Promise<void> {
    for (let [part, ...rest] = this.#committing; part !== undefined; [part, ...rest] = this.#committing) {
      try {
        await this.#options.commit(part);
        this.#committing = rest;
      } catch (error) {
        const halves = isWeather(error) && error.code === "EQ_STORE_FULL" ? part.halves() : undefined;
        if (halves === undefined) throw error;
        this.#committing = [...halves, ...rest];
      }
    }
  }

  #refused(error: EquipoiseError): void {
    if (this.#refusal?.code !== error.code) {
      this.#options.logger.error({ event: "bufferRefused", code: error.code }, error.line);
    }
    this.#refusal = error;
  }

  #accepted(): void {
    if (this.#refusal === undefined) return;
    this.#refusal = undefined;
    this.#options.logger.info({ event: "bufferRecovered" }, "the disk takes ticks again");
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(delayMs, resolve);
      this.#endWait = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** For a rejection that may wait. @throws what cannot */
export function unlessWeather(error: unknown): void {
  if (!isWeather(error)) throw error;
}

/** What may pass by itself, as opposed to damage and bugs. */
export function isWeather(error: unknown): error is EquipoiseError {
  return (
    error instanceof EquipoiseError && (error.code === "EQ_STORE_FULL" || error.code === "EQ_STORE_FAILED")
  );
}
