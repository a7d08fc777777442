/** Whether the buffer takes another tick: at once, after a wait, or not at all; and those who wait. */
import { type Bound, maxWaitingTicks, type WhenFull } from "./bound.ts";
import type { GroupCommit } from "./group-commit.ts";

const maxWaitingBytes = 4 * 2 ** 20;
/** A full buffer looks so often whether there is room again, for a disk that somebody else has freed says nothing. */
export const lookMs = 2_000;

/** `full` at a bound of its own or of the disk, `refused` while the disk takes no writes. */
export type RoomState = "open" | "full" | "refused";

export class Room {
  readonly #whenFull: WhenFull;
  readonly #bound: Bound;
  readonly #groupCommit: GroupCommit;
  readonly #unacknowledged: () => number;
  readonly #waiters: (() => void)[] = [];
  /** The link keeps up: of what comes, little waits. */
  #flows = true;
  #closed = false;

  /** @param unacknowledged how many ticks are, in memory or on the disk */
  constructor(whenFull: WhenFull, bound: Bound, groupCommit: GroupCommit, unacknowledged: () => number) {
    this.#whenFull = whenFull;
    this.#bound = bound;
    this.#groupCommit = groupCommit;
    this.#unacknowledged = unacknowledged;
  }

  get state(): RoomState {
    if (this.#groupCommit.waiting.refused) return "refused";
    return this.#bound.isReached() || this.#bound.isReported ? "full" : "open";
  }

  /** Somebody waits. */
  get isWanted(): boolean {
    return this.#waiters.length > 0;
  }

  /** A link that keeps up needs no more room than there is: where only the disk is short, a few ticks may wait. */
  isFull(): boolean {
    if (!this.#bound.isReached()) {
      this.#flows = true;
      return false;
    }
    const most = this.#flows ? maxWaitingTicks : maxWaitingTicks / 2;
    this.#flows = this.#unacknowledged() < most;
    return !(this.#flows && this.#bound.isOfDisk);
  }

  /** The policy for a full buffer is to drop new ticks, or there is nothing else left to do. */
  mustDrop(): boolean {
    if (this.#whenFull === "block") return false;
    const { ticks, bytes, refused } = this.#groupCommit.waiting;
    return this.isFull() || (refused && isMuch(ticks, bytes));
  }

  mustWait(): boolean {
    const { ticks, bytes, refused } = this.#groupCommit.waiting;
    if (this.#whenFull !== "block") return !refused && isMuch(ticks, bytes);
    return this.isFull() || refused || isMuch(ticks, bytes);
  }

  /** Resolves with false when there is no room and nobody waits for it any more. */
  async wait(): Promise<boolean> {
    if (!this.mustWait()) return true;
    if (this.#closed) return false;
    this.#groupCommit.changed(lookMs);
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
    return !(this.#closed && this.mustWait());
  }

  /** A commit is how one finds out that the disk has room again or that ticks are too old: there is always a next one. */
  committed(): void {
    if (this.#waiters.length === 0) return;
    if (this.mustWait()) this.#groupCommit.changed(lookMs);
    else this.#letIn();
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.#letIn();
  }

  #letIn(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

const isMuch = (ticks: number, bytes: number): boolean =>
  ticks >= maxWaitingTicks || bytes >= maxWaitingBytes;
