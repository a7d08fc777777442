/** What the members of a pool have completed, together. */
import type { MemberReport } from "./questions.ts";

export interface Completion {
  member: number;
  intendedUs: number;
  completedUs: number;
}

export class Completions {
  /** The first completion of each message, by its number. */
  readonly #first = new Map<number, Completion>();
  /** Completions of a message that had been completed before. */
  repeated = 0;

  get count(): number {
    return this.#first.size;
  }

  add(member: number, { numbers, intendedUs, completedUs }: MemberReport): void {
    for (const [at, number] of numbers.entries()) {
      const completion = {
        member,
        intendedUs: intendedUs[at] as number,
        completedUs: completedUs[at] as number,
      };
      const known = this.#first.get(number);
      if (known !== undefined) this.repeated++;
      if (known === undefined || known.completedUs > completion.completedUs)
        this.#first.set(number, completion);
    }
  }

  get all(): Completion[] {
    return [...this.#first.values()];
  }

  /** How many messages of those that were to be sent from a time on each of `members` has completed. */
  counts(fromUs: number, members: number): number[] {
    const counts = new Array<number>(members).fill(0);
    for (const { member, intendedUs } of this.#first.values())
      if (intendedUs >= fromUs) counts[member] = (counts[member] ?? 0) + 1;
    return counts;
  }
}

/** @param share from 0 to 1; returns 0 for no values */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** 1 when the members' shares of the work are their shares of the capacity, 0 when all of it went elsewhere. */
export function distributionEfficiency(counts: readonly number[], capacities: readonly number[]): number {
  const [all, capacity] = [sumOf(counts), sumOf(capacities)];
  const off = counts.map((count, member) => Math.abs(count / all - (capacities[member] ?? 0) / capacity));
  return 1 - sumOf(off) / 2;
}

/** Jain's fairness index: 1 when all counts are equal, 1/n when one member has done everything. */
export function jainIndex(counts: readonly number[]): number {
  return sumOf(counts) ** 2 / (counts.length * sumOf(counts.map((count) => count ** 2)));
}
