/** The newest trade of each stream since the start: for who asks, and once for the topic of last values. */
import type { LastTrade } from "./queue.ts";
import type { NumberedStream } from "./streams.ts";

export class Newest {
  readonly #untaken = new Set<NumberedStream>();
  readonly #latest = new Map<NumberedStream, string>();

  note(stream: NumberedStream, payload: string): void {
    this.#untaken.add(stream);
    this.#latest.set(stream, payload);
  }

  /** Those that are newer than at the last call. */
  take(): LastTrade[] {
    const newest = [...this.#untaken].filter(mayLeave);
    for (const stream of newest) this.#untaken.delete(stream);
    return newest.map((stream) => ({ stream, payload: this.#latest.get(stream) ?? "" }));
  }

  latest(stream: NumberedStream): string | undefined {
    return mayLeave(stream) ? this.#latest.get(stream) : undefined;
  }

  forget(stream: NumberedStream): void {
    this.#untaken.delete(stream);
    this.#latest.delete(stream);
  }
}

/** A number that is not durably reserved must not leave the device; after the next commit it may. */
const mayLeave = ({ seq, reserved }: NumberedStream): boolean => seq <= reserved;
