/** A double-ended queue on a ring that doubles when it is full; all operations cost O(1), and what has left is let go at once. */
export class Deque<T> {
  #ring: (T | undefined)[] = new Array(16);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#ring[this.#head];
  }

  at(index: number): T | undefined {
    return this.#ring[(this.#head + index) & (this.#ring.length - 1)];
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = item;
    this.#length++;
  }

  unshift(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#ring.length - 1);
    this.#ring[this.#head] = item;
    this.#length++;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length--;
    return item;
  }

  /** Takes out all that match, wherever they are; costs O(n). */
  remove(matches: (item: T) => boolean): T[] {
    const removed: T[] = [];
    for (let left = this.#length; left > 0; left--) {
      const item = this.shift() as T;
      if (matches(item)) removed.push(item);
      else this.push(item);
    }
    return removed;
  }

  clear(): void {
    this.#ring = new Array(16);
    this.#head = 0;
    this.#length = 0;
  }

  #grow(): void {
    const items = Array.from({ length: this.#length }, (_, index) => this.at(index));
    items.length = this.#ring.length * 2;
    this.#ring = items;
    this.#head = 0;
  }
}
