/** A set of positions as ranges, for sets that are nearly whole: few ranges, whatever the number of positions. */

/** First and last position, both in the set. */
export type Range = [from: number, to: number];

export class Positions {
  #ranges: Range[];
  #size: number;

  /** @param flat first and last of each range, one behind the other, ascending; the first range begins with 0 */
  constructor(flat: readonly number[] = [0, 0]) {
    this.#ranges = [];
    for (let index = 0; index < flat.length; index += 2) {
      this.#ranges.push([flat[index] as number, flat[index + 1] as number]);
    }
    this.#size = this.#ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0);
  }

  get ranges(): readonly Readonly<Range>[] {
    return this.#ranges;
  }

  /** How many positions are in it. */
  get size(): number {
    return this.#size;
  }

  /** Everything up to this position is in it. */
  get upTo(): number {
    return this.#ranges[0]?.[1] ?? 0;
  }

  has(position: number): boolean {
    const range = this.#ranges[this.#indexAt(position)];
    return range !== undefined && range[0] <= position;
  }

  /** The highest position below `end` that is not in it; undefined when there is none. */
  highestMissingBelow(end: number): number | undefined {
    const position = end - 1;
    const range = this.#ranges[this.#indexAt(position)];
    const missing = range !== undefined && range[0] <= position ? range[0] - 1 : position;
    return missing > 0 ? missing : undefined;
  }

  /** What of `from` to `to` is not in it. */
  missing(from: number, to: number): Range[] {
    const missing: Range[] = [];
    let next = from;
    for (let index = this.#indexAt(from); next <= to; index += 1) {
      const [first, last] = this.#ranges[index] ?? [to + 1, to];
      if (first > next) missing.push([next, Math.min(first - 1, to)]);
      next = Math.max(next, last + 1);
    }
    return missing;
  }

  add(from: number, to = from): void {
    if (from > to) return;
    const first = this.#indexAt(from - 1);
    if (this.#extend(first, from, to)) return;
    let behind = first;
    let added: Range = [from, to];
    for (let range = this.#ranges[behind]; range !== undefined && range[0] <= to + 1; ) {
      added = [Math.min(added[0], range[0]), Math.max(added[1], range[1])];
      this.#size -= range[1] - range[0] + 1;
      behind += 1;
      range = this.#ranges[behind];
    }
    this.#size += added[1] - added[0] + 1;
    if (behind === first + 1) this.#ranges[first] = added;
    else this.#ranges.splice(first, behind - first, added);
  }

  /** See the constructor. */
  flat(): number[] {
    return this.#ranges.flat();
  }

  /** The same of what is below `end`. */
  flatBelow(end: number): number[] {
    return this.#ranges.flatMap(([from, to]) => (from < end ? [from, Math.min(to, end - 1)] : []));
  }

  /** The usual case, for which nothing need be made: a range becomes longer at its end and touches none behind it. */
  #extend(index: number, from: number, to: number): boolean {
    const range = this.#ranges[index];
    const next = this.#ranges[index + 1];
    if (range === undefined || range[0] > from || range[1] >= to) return false;
    if (next !== undefined && next[0] <= to + 1) return false;
    this.#size += to - range[1];
    range[1] = to;
    return true;
  }

  /** Index of the first range that ends at or behind the position. */
  #indexAt(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle] as Range)[1] < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
