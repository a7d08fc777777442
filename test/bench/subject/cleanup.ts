/** Collects what has to be undone, for the helpers that tests use; the last thing made goes first. */
export class Cleanup {
  static readonly #open = new Set<Cleanup>();
  readonly #callbacks: (() => unknown)[] = [];

  teardown(callback: () => unknown): void {
    Cleanup.#open.add(this);
    this.#callbacks.push(callback);
  }

  async run(): Promise<void> {
    Cleanup.#open.delete(this);
    for (const callback of this.#callbacks.splice(0).reverse()) await callback();
  }

  /** Does some work and undoes what it has left behind, however it ends. */
  static async after<T>(work: (cleanup: Cleanup) => Promise<T>): Promise<T> {
    const cleanup = new Cleanup();
    try {
      return await work(cleanup);
    } finally {
      await cleanup.run();
    }
  }

  /** For an early end: no broker is left running. */
  static async runAll(): Promise<void> {
    await Promise.allSettled([...Cleanup.#open].map((cleanup) => cleanup.run()));
  }
}
