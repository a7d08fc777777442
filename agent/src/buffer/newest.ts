/** The newest trade of each stream since the start: for who asks, and once for the topic of last values. */
import type { LastTrade, Stream } from "./queue.ts";

export class Newest {
  readonly #untaken = new Set<Stream>();
  readonly #latest = new Map<Stream, string>();

  note(stream: Stream, payload: string): void {
    this.#untaken.add(stream);
    this.#latest.set(stream, payload);
  }

  /** Those that are newer than at the last call. */
  take(): LastTrade[] {
    const newest = [...this.#untaken].map((stream) => ({ stream, payload: this.#latest.get(stream) ?? "" }));
    this.#untaken.clear();
    return newest;
  }

  latest(stream: Stream): string | undefined {
    return this.#latest.get(stream);
  }

  forget(stream: Stream): void {
    this.#untaken.delete(stream);
    this.#latest.delete(stream);
  }
}
