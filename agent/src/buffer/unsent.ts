/** How far the positions of a database go, and how many of them are still to be sent. */
import type { ChunkRow } from "./schema.ts";

/** The position that comes next. @param done see {@link Positions} */
export function endOf(last: ChunkRow | undefined, done: readonly number[]): number {
  return Math.max((done.at(-1) ?? 0) + 1, last === undefined ? 1 : last.first + last.count);
}

/** How many ticks are in it that have not been acknowledged; exact where there are none. */
export function unsent(last: ChunkRow | undefined, done: readonly number[]): number {
  const end = endOf(last, done);
  let count = end - 1;
  for (let index = 0; index < done.length; index += 2)
    count -= (done[index + 1] ?? 0) - Math.max(1, done[index] ?? 0) + 1;
  return count;
}
