/** Reads what waits on the disk, a chunk at a time and one ahead, the oldest or the newest chunk first. */
import { EquipoiseError } from "@equipoise/shared";
import type { AgedTick } from "./batch.ts";
import type { Page } from "./page.ts";
import { Positions, type Range } from "./positions.ts";

/** A chunk that was read, and its first and last position. */
export interface BacklogPage {
  /** Its ticks at the wanted positions; undefined when they are lost. */
  ticks: ((wanted: readonly Range[]) => Page) | undefined;
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
  /** What was read, beside the next tick, and how many ticks that is. */
  #pages: Pick<Page, "take" | "uptimeMs">[] = [];
  #next: AgedTick | undefined;
  #atHand = 0;
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
    return this.#fetched.missing(1, Math.min(this.#end, this.#committedEnd) - 1);
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
    return this.#next;
  }

  take(): AgedTick | undefined {
    const tick = this.#next;
    if (tick === undefined) return undefined;
    this.#atHand -= 1;
    this.#next = this.#following();
    if (this.#atHand === readAheadTicks || this.#atHand === 0) this.#fill();
    return tick;
  }

  /** All at hand of the chunks that ended before. */
  takeOlder(beforeUptimeMs: number): AgedTick[] {
    const older: AgedTick[] = [];
    while (this.#next !== undefined && this.#next.bufferedUptimeMs < beforeUptimeMs) {
      older.push(this.#next);
      this.#next = this.#following();
    }
    for (const page of this.#pages.filter(({ uptimeMs }) => uptimeMs < beforeUptimeMs))
      for (let tick = page.take(); tick !== undefined; tick = page.take()) older.push(tick);
    this.#atHand -= older.length;
    this.#fill();
    return older;
  }

  /** What was read and is not taken yet. */
  atHand(): AgedTick[] {
    const rest: AgedTick[] = [];
    for (let tick = this.#following(); tick !== undefined; tick = this.#following()) rest.push(tick);
    const left = rest.values();
    const uptimeMs = rest.reduce((newestMs, tick) => Math.max(newestMs, tick.bufferedUptimeMs), 0);
    this.#pages = [{ uptimeMs, take: () => left.next().value }];
    return this.#next === undefined ? rest : [this.#next, ...rest];
  }

  isEmpty(): boolean {
    return this.#atHand === 0 && !this.#reading && this.#fetched.upTo >= this.#end - 1;
  }

  #fill(): void {
    if (this.#reading || this.#atHand > readAheadTicks) return;
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
    read.catch((error: unknown) => this.#refused(error));
  }

  /** A loss that a full disk does not let be written down is looked at again after the next commit. */
  #refused(error: unknown): void {
    if (!(error instanceof EquipoiseError) || error.code !== "EQ_STORE_FULL") this.#options.failed(error);
    this.#reading = false;
  }

  #append(asked: number, readableEnd: number, page: BacklogPage | undefined): void {
    const [from, to] = page?.extent ?? [asked, asked - 1];
    this.#assertNothingBetween(asked, from, to);
    const last = Math.min(to, readableEnd - 1);
    const wanted = this.#fetched.missing(from, last);
    this.#fetched.add(from, last);
    if (page?.ticks === undefined || wanted.length === 0) return;
    this.#pages.push(page.ticks(wanted));
    this.#atHand += wanted.reduce((sum, [first, end]) => sum + end - first + 1, 0);
    this.#next ??= this.#following();
    this.#options.readable();
  }

  #following(): AgedTick | undefined {
    for (let page = this.#pages[0]; page !== undefined; page = this.#pages[0]) {
      const tick = page.take();
      if (tick !== undefined) return tick;
      this.#pages.shift();
    }
    return undefined;
  }

  /** Nobody must lose ticks without a word: what was asked for is there, or it was excluded while it was read. */
  #assertNothingBetween(asked: number, from: number, to: number): void {
    if (from <= asked && asked <= to) return;
    if (!this.#fetched.has(asked)) throw new Error(`the tick ${asked} is neither in the buffer nor given up`);
  }
}
