/** How a source that ends only when it is told to goes on: running, then ended or failed. */
import type { SourceStatus } from "./source.ts";

export class Course {
  readonly #end = Promise.withResolvers<void>();
  #state: SourceStatus["state"] = "running";

  constructor() {
    this.#end.promise.catch(() => undefined); // awaited in run
  }

  get state(): SourceStatus["state"] {
    return this.#state;
  }

  end(): void {
    this.#end.resolve();
  }

  /** Can be given away as a callback. */
  readonly fail = (error: unknown): void => this.#end.reject(error);

  /**
   * Resolves when the source was ended and has closed what it holds.
   * @param close what it does then, however it ends
   * @throws what it failed with
   */
  async run(close: () => Promise<void> | void): Promise<void> {
    try {
      await this.#end.promise;
      this.#state = "ended";
    } catch (error) {
      this.#state = "failed";
      throw error;
    } finally {
      await close();
    }
  }
}
