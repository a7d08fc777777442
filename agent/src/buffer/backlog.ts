/** Reads what waits on the disk, a chunk at a time and one ahead, the oldest or the newest chunk first. */
import type { AgedTick } from "./batch.ts";
import { Positions, type Range } from "./positions.ts";

/** The ticks of one chunk, and its first and last position. */
export interface BacklogPage {
  ticks: AgedTick[];
  extent: readonly [from: number, to: number];
}

export interface BacklogOptions {
  drain: "oldestFirst" | "newestFirst";
  /** The chunk with the position or the next one in the direction; undefined when there is none. */
  read: (position: number, direction: "up" | "down") => Promise<BacklogPage | undefined>;
  readable: () => void;
  /** Reading has failed for good. */
  failed: (error: unknown) => void;
}

/** The next chunk is read when no more than this is at hand. */
const readAheadTicks = 1_024;

export class Backlog {
  readonly #options: BacklogOptions;
  /** Positions that were read or handed out otherwise, and those that are not there any more. */
  #fetched = new Positions();
  #page: AgedTick[] = [];
  #index = 0;
  #reading = false;
  /** The position behind the backlog, and the one behind what can be read. */
  #end = 1;
  #committedEnd = 1;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  /** Takes over what a database holds below `end`, except what is done. */
  begin(done: readonly number[], end: number): void {
    this.#fetched = new Positions(done);
    this.#end = end;
    this.#committedEnd = end;
    this.#fill();
  }

  /** Everything below the position belongs to the backlog. */
  extend(end: number): void {
    this.#end = end;
    this.#fill();
  }

  /** Everything below the position is on the disk. */
  committed(end: number): void {
    this.#committedEnd = end;
    this.#fill();
  }

  /** What waits on the disk and was not read; of a disk that is lost, all that is lost with it. */
  unread(): Range[] {
    const readableEnd = Math.min(this.#end, this.#committedEnd);
    const unread: Range[] = [];
    let from = 1;
    for (const [first, last] of this.#fetched.ranges) {
      if (first > from) unread.push([from, Math.min(first, readableEnd) - 1]);
      from = last + 1;
    }
    unread.push([from, readableEnd - 1]);
    return unread.filter(([first, last]) => first <= last);
  }

  /** These need not be read: somebody has them, or nobody ever will. */
  exclude(from: number, to = from): void {
    this.#fetched.add(from, to);
  }

  /** Where whole chunks may be deleted without being missed by anybody who has begun to read them. */
  get untouched(): readonly [from: number, before: number] {
    const [first, second] = this.#fetched.ranges;
    return [(first?.[1] ?? 0) + 1, Math.min(second?.[0] ?? this.#end, this.#end, this.#committedEnd)];
  }

  /** How scattered it is: more than one range means that it was not handed out in order. */
  get fragments(): number {
    return this.#fetched.ranges.length;
  }

  peek(): AgedTick | undefined {
    return this.#page[this.#index];
  }

  take(): AgedTick | undefined {
    const tick = this.#page[this.#index];
    if (tick === undefined) return undefined;
    this.#index += 1;
    if (this.#page.length - this.#index === readAheadTicks) this.#fill();
    else if (this.#index === this.#page.length) this.#fill();
    return tick;
  }

  isEmpty(): boolean {
    return this.#index === this.#page.length && !this.#reading && this.#fetched.upTo >= this.#end - 1;
  }

  #fill(): void {
    if (this.#reading || this.#page.length - this.#index > readAheadTicks) return;
    const readableEnd = Math.min(this.#end, this.#committedEnd);
    const isUp = this.#options.drain === "oldestFirst";
    const position = isUp ? this.#fetched.upTo + 1 : this.#fetched.highestMissingBelow(readableEnd);
    if (position === undefined || position >= readableEnd) return;
    this.#reading = true;
    const read = this.#options.read(position, isUp ? "up" : "down").then((page) => {
      this.#reading = false;
      this.#append(position, readableEnd, page);
      this.#fill();
    });
    read.catch(this.#options.failed);
  }

  #append(asked: number, readableEnd: number, page: BacklogPage | undefined): void {
    const [from, to] = page?.extent ?? [asked, asked - 1];
    this.#assertNothingBetween(asked, from, to);
    const last = Math.min(to, readableEnd - 1);
    const ticks =
      page?.ticks.filter(({ position }) => position <= last && !this.#fetched.has(position)) ?? [];
    this.#fetched.add(from, last);
    if (ticks.length === 0) return;
    this.#page = [...this.#page.slice(this.#index), ...ticks];
    this.#index = 0;
    this.#options.readable();
  }

  /** Nobody must lose ticks without a word: what was asked for is there, or it was excluded while it was read. */
  #assertNothingBetween(asked: number, from: number, to: number): void {
    if (from <= asked && asked <= to) return;
    if (!this.#fetched.has(asked)) throw new Error(`the tick ${asked} is neither in the buffer nor given up`);
  }
}
