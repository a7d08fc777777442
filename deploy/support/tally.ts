/** Counts what the members together have handled, every tick once. */

/** One stream's ticks: all up to `upTo`, and those ahead of it. Bounded by how far members run ahead of each other. */
interface Seen {
  upTo: number;
  ahead: Set<number>;
}

export class Tally {
  readonly #streams = new Map<string, Seen>();
  /** Handled by each member, repeats included. */
  readonly byMember = new Map<string, number>();
  delivered = 0;
  duplicates = 0;

  add(member: string, stream: string, seq: number): void {
    this.byMember.set(member, (this.byMember.get(member) ?? 0) + 1);
    let seen = this.#streams.get(stream);
    if (seen === undefined) {
      seen = { upTo: 0, ahead: new Set() };
      this.#streams.set(stream, seen);
    }
    if (seq <= seen.upTo || seen.ahead.has(seq)) {
      this.duplicates++;
      return;
    }
    this.delivered++;
    seen.ahead.add(seq);
    while (seen.ahead.delete(seen.upTo + 1)) seen.upTo++;
  }
}
