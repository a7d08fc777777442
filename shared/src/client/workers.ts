/** After so much work the event loop has its turn, so that answers go out and packets come in. */
const turnMs = 1;

/** Runs work on items, at most `concurrency` at once, begun in the order they came, while open. */
export class Workers<T> {
  readonly #concurrency: number;
  readonly #work: (item: T) => Promise<void>;
  readonly #nowMs: () => number;
  #waiting: T[] = [];
  #running = 0;
  #open = false;
  /** Work done since the event loop had its turn. */
  #workedMs = 0;
  #yielding = false;
  #onIdle: (() => void)[] = [];

  /** @param work must not reject: its failures are its own to deal with */
  constructor(
    concurrency: number,
    work: (item: T) => Promise<void>,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#nowMs = nowMs;
    this.#concurrency = concurrency;
    this.#work = work;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get running(): number {
    return this.#running;
  }

  /** Begins work, also on what has been waiting. */
  open(): void {
    this.#open = true;
    this.#fill();
  }

  /** Begins nothing more and forgets what waits; what runs goes on. */
  close(): void {
    this.#open = false;
    this.discardWaiting();
  }

  add(item: T): void {
    this.#waiting.push(item);
    this.#fill();
  }

  /** Forgets what no worker has begun. */
  discardWaiting(): void {
    this.#waiting = [];
    this.#reportIdle();
  }

  /** Resolves when nothing waits and nothing runs. */
  async idle(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  #fill(): void {
    while (this.#open && !this.#yielding && this.#running < this.#concurrency) {
      const item = this.#waiting.shift();
      if (item === undefined) return;
      this.#begin(item);
    }
  }

  #begin(item: T): void {
    const beganMs = this.#nowMs();
    this.#running += 1;
    void this.#work(item).finally(() => {
      this.#running -= 1;
      this.#workedMs += this.#nowMs() - beganMs;
      if (this.#workedMs >= turnMs) this.#yield();
      this.#fill();
      this.#reportIdle();
    });
  }

  /** A handler that never waits for anything would keep everything else waiting. */
  #yield(): void {
    if (this.#yielding) return;
    this.#yielding = true;
    setImmediate(() => {
      this.#yielding = false;
      this.#workedMs = 0;
      this.#fill();
    });
  }

  #reportIdle(): void {
    if (this.#running > 0 || this.#waiting.length > 0) return;
    for (const resolve of this.#onIdle) resolve();
    this.#onIdle = [];
  }
}
