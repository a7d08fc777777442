/** The newest trade of each stream since the start: for who asks, and once for the topic of last values. */
import type { BufferedTick, Stream } from "./queue.ts";

export class Newest {
  readonly #untaken = new Map<Stream, BufferedTick>();
  readonly #latest = new Map<Stream, string>();

  note(tick: BufferedTick): void {
    this.#untaken.set(tick.stream, tick);
    this.#latest.set(tick.stream, tick.payload);
  }

  /** Those that are newer than at the last call. */
  take(): BufferedTick[] {
    const newest = [...this.#untaken.values()];
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
