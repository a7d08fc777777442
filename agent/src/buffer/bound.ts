/** Whether the buffer is at its bound, and the lines in the log about it: one when it gets there, one when it leaves. */
import { EquipoiseError, type Logger } from "@equipoise/shared";

export type WhenFull = "block" | "dropOldest" | "dropNewest";

/** Work goes on when the buffer is this much below its bound, so that it does not stutter there. */
const resumeShare = 0.95;
/** A run of losses is over when nothing more was evicted for so long. */
export const calmMs = 5_000;
/** So many may wait in memory, or on a disk that is short: what the link takes at once needs no more. */
export const maxWaitingTicks = 4_096;

const policies: Record<WhenFull, string> = {
  block: "the sources pause",
  dropOldest: "the oldest ticks go",
  dropNewest: "new ticks are dropped",
};

export class Bound {
  readonly #maxBytes: number;
  readonly #whenFull: WhenFull;
  readonly #logger: Logger;
  #usedBytes = 0;
  #diskLow = false;
  #isReached = false;
  #isReported = false;
  #evictedAtMs = Number.NEGATIVE_INFINITY;

  constructor(maxBytes: number, whenFull: WhenFull, logger: Logger) {
    this.#maxBytes = maxBytes;
    this.#whenFull = whenFull;
    this.#logger = logger;
  }

  /** Whether the log says that it is at its bound. */
  get isReported(): boolean {
    return this.#isReported;
  }

  /** It is the disk alone that is short. */
  get isOfDisk(): boolean {
    return this.#diskLow && this.#usedBytes < this.#maxBytes * resumeShare;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  update(usedBytes: number, diskLow: boolean): void {
    this.#usedBytes = usedBytes;
    this.#diskLow = diskLow;
  }

  /** What is not written yet does not count: it may take the database beyond its bound by one commit. */
  isReached(): boolean {
    const boundBytes = this.#isReached ? this.#maxBytes * resumeShare : this.#maxBytes;
    const isReached = this.#diskLow || this.#usedBytes >= boundBytes;
    if (isReached !== this.#isReached) this.#report(isReached);
    this.#isReached = isReached;
    return isReached;
  }

  /**
   * Ticks were evicted, which keeps the bound from being reached; said once, until {@link relieved}.
   * @param nowMs monotonic
   */
  evicted(nowMs: number): void {
    this.#evictedAtMs = nowMs;
    if (!this.#isReported) this.#report(true);
  }

  /** Ticks were evicted a moment ago: a commit that found room does not mean that there will be some for the next. */
  isEvicting(nowMs: number): boolean {
    return nowMs - this.#evictedAtMs < calmMs;
  }

  relieved(): void {
    if (this.#isReported && !this.#isReached) this.#report(false);
  }

  #report(isFull: boolean): void {
    if (isFull === this.#isReported) return;
    this.#isReported = isFull;
    const fields = { bytes: this.#usedBytes, maxBytes: this.#maxBytes };
    if (!isFull) {
      this.#logger.info({ event: "bufferRoom", ...fields }, "the buffer has room again");
      return;
    }
    const bound = this.#diskLow
      ? `less of the disk is free than buffer.minFreeDiskBytes; beyond ${maxWaitingTicks} ticks that wait `
      : "buffer.maxBytes or buffer.maxAgeMs; ";
    const error = new EquipoiseError("EQ_LIMIT_REACHED", `${bound}${policies[this.#whenFull]}`);
    this.#logger.warn({ event: "bufferFull", code: error.code, ...fields }, error.line);
  }
}
