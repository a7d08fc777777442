/** Virtual time: what is due happens in order of time, and at the same time in the order in which it was planned. */

interface Event {
  atMs: number;
  order: number;
  action: () => void;
}

export class Timeline {
  /** A binary heap, the next event first. */
  readonly #heap: Event[] = [];
  #order = 0;
  #nowMs = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): void {
    this.#push({ atMs: this.#nowMs + delayMs, order: this.#order++, action });
  }

  /** Runs what is due until `finished` or `untilMs`; the clock then shows the last event's time, or `untilMs`. */
  run(untilMs: number, finished: () => boolean): void {
    while (!finished()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = untilMs;
        return;
      }
      this.#pop();
      this.#nowMs = next.atMs;
      next.action();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Event;
      if (!before(event, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    const count = heap.length;
    if (count === 0) return;
    let at = 0;
    for (let child = 1; child < count; child = 2 * at + 1) {
      const right = child + 1;
      if (right < count && before(heap[right] as Event, heap[child] as Event)) child = right;
      const lower = heap[child] as Event;
      if (!before(lower, last)) break;
      heap[at] = lower;
      at = child;
    }
    heap[at] = last;
  }
}

function before(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
