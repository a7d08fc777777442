/** Collects what has to be undone, for the helpers that tests use; the last thing made goes first. */
export class Cleanup {
  readonly #callbacks: (() => unknown)[] = [];

  teardown(callback: () => unknown): void {
    this.#callbacks.push(callback);
  }

  async run(): Promise<void> {
    for (const callback of this.#callbacks.splice(0).reverse()) await callback();
  }
}
