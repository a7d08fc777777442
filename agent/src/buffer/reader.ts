/** Reads committed ticks in order, a page ahead; at the tail they come straight from the commit, without the database. */
import type { BufferedTick } from "./queue.ts";

export interface ReaderOptions {
  /** Most ticks in memory. */
  pageTicks: number;
  /** Reads up to `limit` committed ticks from a position on. */
  read: (from: number, limit: number) => Promise<BufferedTick[]>;
  readable: () => void;
  /** Reading has failed for good. */
  failed: (error: unknown) => void;
}

export class Reader {
  readonly #options: ReaderOptions;
  #page: BufferedTick[] = [];
  #index = 0;
  #reading = false;
  /** The position behind the page. */
  #next = 0;
  /** The position behind the last committed tick. */
  #end = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** Takes over a database that holds `begin` up to but not including `end`. */
  begin(begin: number, end: number): void {
    this.#next = begin;
    this.#end = end;
    this.#fill();
  }

  /** These were just committed. */
  committed(ticks: BufferedTick[]): void {
    const atTail = !this.#reading && this.#next === this.#end;
    this.#end += ticks.length;
    if (atTail && this.#size + ticks.length <= this.#options.pageTicks) this.#append(ticks);
    else this.#fill();
  }

  take(): BufferedTick | undefined {
    const tick = this.#page[this.#index];
    if (tick === undefined) return undefined;
    this.#index += 1;
    if (this.#size < this.#options.pageTicks / 2) this.#fill();
    return tick;
  }

  peek(): BufferedTick | undefined {
    return this.#page[this.#index];
  }

  isEmpty(): boolean {
    return this.#size === 0 && this.#next === this.#end;
  }

  get #size(): number {
    return this.#page.length - this.#index;
  }

  #append(ticks: BufferedTick[]): void {
    this.#page = this.#size === 0 ? ticks : [...this.#page.slice(this.#index), ...ticks];
    this.#index = 0;
    this.#next += ticks.length;
    if (ticks.length > 0) this.#options.readable();
  }

  #fill(): void {
    const room = this.#options.pageTicks - this.#size;
    if (this.#reading || this.#next === this.#end || room < this.#options.pageTicks / 2) return;
    this.#reading = true;
    this.#options.read(this.#next, room).then((ticks) => {
      this.#reading = false;
      this.#append(ticks);
      this.#fill();
    }, this.#options.failed);
  }
}
