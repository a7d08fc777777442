/**
 * Gathers ticks into commits. One commit is under way at a time; what arrives meanwhile goes into the next one. A commit
 * that the disk refuses is tried again unchanged, so numbers stay in order and nothing accepted is dropped.
 */
import { type Clock, EquipoiseError, type Logger } from "@equipoise/shared";
import { Batch } from "./batch.ts";
import type { Commit } from "./protocol.ts";
import type { BufferedTick } from "./queue.ts";
import type { NumberedStream } from "./streams.ts";

export interface GroupCommitOptions {
  /** How long a tick waits for others to share its commit. */
  latencyMs: number;
  clock: Clock;
  logger: Logger;
  /** Performs a commit; returns the bytes used in the database afterwards. */
  commit: (commit: Commit) => Promise<number>;
  committed: (ticks: BufferedTick[], usedBytes: number) => void;
  /** Cannot go on. */
  failed: (error: unknown) => void;
}

interface FlushWaiter {
  /** The commit to wait for. */
  commit: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** A commit of this size waits for no more. */
const batchTicks = 1_024;
const settleLatencyMs = 50;
const retryMs = 1_000;

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #flushWaiters = new Set<FlushWaiter>();
  #pending = new Batch();
  #committing = new Batch();
  /** The position of the next tick to be committed. */
  #end = 1;
  #settled = 0;
  /** What the last commit that was begun deletes. */
  #settling = 0;
  /** Commits begun and done. */
  #begun = 0;
  #done = 0;
  #timer: { delayMs: number; cancel: () => void } | undefined;
  #due = false;
  #running = false;
  #closing = false;
  #refusal: EquipoiseError | undefined;
  #endWait: (() => void) | undefined;
  #broken: { error: unknown } | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  begin(end: number, settled: number): void {
    this.#end = end;
    this.#settled = settled;
    this.#settling = settled;
  }

  /** Ticks that are not committed yet, their bytes, and whether the disk refuses them. */
  get waiting(): { ticks: number; bytes: number; refused: boolean } {
    const ticks = this.#pending.size + this.#committing.size;
    const bytes = this.#pending.bytes + this.#committing.bytes;
    return { ticks, bytes, refused: this.#refusal !== undefined || this.#broken !== undefined };
  }

  add(stream: NumberedStream, payload: string): void {
    this.#pending.add(stream, payload);
    this.#within(this.#pending.size < batchTicks ? this.#options.latencyMs : 0);
  }

  /** Everything up to here is deleted with the next commit, at the latest after 50 ms. */
  settle(position: number): void {
    this.#settled = position;
    this.#within(settleLatencyMs);
  }

  /**
   * Resolves when everything added so far is committed and everything settled so far is deleted.
   * @throws EquipoiseError EQ_STORE_FULL, EQ_STORE_FAILED when it cannot be after {@link close}; a failure for good
   */
  flush(): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken.error);
    const more = this.#pending.size > 0 || this.#settled > this.#settling;
    if (!more && this.#begun === this.#done) return Promise.resolve();
    const commit = more ? this.#begun + 1 : this.#begun;
    const flushed = new Promise<void>((resolve, reject) =>
      this.#flushWaiters.add({ commit, resolve, reject }),
    );
    if (more) this.#within(0);
    return flushed;
  }

  /** A commit that is refused from now on is not tried again. */
  close(): void {
    this.#closing = true;
    this.#endWait?.();
  }

  /** Sees to it that a commit begins within this time. */
  #within(delayMs: number): void {
    if (delayMs === 0) {
      this.#due = true;
      if (!this.#running) void this.#run();
    } else if (this.#timer === undefined || delayMs < this.#timer.delayMs) {
      this.#timer?.cancel();
      this.#timer = { delayMs, cancel: this.#options.clock.after(delayMs, () => this.#within(0)) };
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#due) await this.#commitPending();
    } catch (error) {
      this.#broken = { error };
      for (const { reject } of this.#flushWaiters) reject(error);
      this.#options.failed(error);
    } finally {
      this.#running = false;
    }
  }

  async #commitPending(): Promise<void> {
    this.#due = false;
    this.#begun += 1;
    this.#timer?.cancel();
    this.#timer = undefined;
    const batch = this.#pending;
    this.#committing = batch;
    this.#pending = new Batch();
    const { ticks, usedBytes } = await this.#persist(batch);
    this.#committing = new Batch();
    this.#end += ticks.length;
    this.#done += 1;
    this.#options.committed(ticks, usedBytes);
    this.#resolveFlushed();
  }

  async #persist(batch: Batch): Promise<{ ticks: BufferedTick[]; usedBytes: number }> {
    for (;;) {
      const timeMs = Math.floor(this.#options.clock.wallMs());
      try {
        this.#settling = this.#settled;
        const usedBytes = await this.#options.commit(batch.commit(this.#end, timeMs, this.#settling));
        this.#accepted();
        return { ticks: batch.ticks(this.#end, timeMs), usedBytes };
      } catch (error) {
        if (!isWeather(error) || this.#closing) throw error;
        this.#refused(error);
        await this.#wait(retryMs);
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

  #resolveFlushed(): void {
    for (const waiter of this.#flushWaiters) {
      if (waiter.commit > this.#done) continue;
      this.#flushWaiters.delete(waiter);
      waiter.resolve();
    }
  }
}

/** What may pass by itself, as opposed to damage and bugs. */
function isWeather(error: unknown): error is EquipoiseError {
  return (
    error instanceof EquipoiseError && (error.code === "EQ_STORE_FULL" || error.code === "EQ_STORE_FAILED")
  );
}
