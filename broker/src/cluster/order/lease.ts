import type { Slice } from "../../journal/slice.ts";
import type { Entry } from "../entry.ts";
import type { Fence, Holding } from "../holding.ts";

export interface LeaseOptions {
  fence: Fence;
  stream: string;
  state: string;
  nowMs: number;
  noteTotals: (bytes: number, messages: number) => void;
  onRefused: (lease: Lease, entries: number) => void;
}

/**
 * One tenure of a shard: from when this broker was given it until it has yielded or lost it. A shard that comes back is
 * another lease, with another mark, and begins with the oldest entry that is left.
 */
export class Lease implements Holding {
  readonly stream: string;
  readonly state: string;
  readonly fence: Fence;
  readonly sinceMs: number;
  readonly held = new Map<Slice, Entry>();
  done: Entry[] = [];
  readonly dirty = new Set<Entry>();
  /** What was taken last, as the begin of the next XRANGE. */
  cursor = "-";
  /** Nothing more is taken: it is yielded when nothing of it is in flight. */
  leaving = false;
  readonly #options: LeaseOptions;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.stream = options.stream;
    this.state = options.state;
    this.fence = options.fence;
    this.sinceMs = options.nowMs;
  }

  take(entry: Entry): void {
    this.held.set(entry.slice, entry);
    this.cursor = `(${entry.id}`;
  }

  get inFlight(): boolean {
    for (const { inFlight } of this.held.keys()) if (inFlight > 0) return true;
    return false;
  }

  /** Whatever is not in flight is another broker's to deliver. */
  leave(): void {
    this.leaving = true;
    for (const slice of this.held.keys()) slice.elsewhere = true;
  }

  /** What nobody here works on need not be remembered. */
  forgetIdle(): void {
    for (const slice of this.held.keys()) if (slice.inFlight === 0) this.held.delete(slice);
  }

  /** Nothing of it may be noted any more. */
  lose(): void {
    this.leave();
    for (const entry of this.held.values()) entry.lost = true;
    this.done = [];
    this.dirty.clear();
  }

  noteTotals(bytes: number, messages: number): void {
    this.#options.noteTotals(bytes, messages);
  }

  refused(entries: number): void {
    this.#options.onRefused(this, entries);
  }
}
