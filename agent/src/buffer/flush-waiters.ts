/** Those who wait for a commit, by its number. */
interface Waiter {
  commit: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class FlushWaiters {
  readonly #waiters = new Set<Waiter>();

  /** Resolves when the commit with this number is done. */
  wait(commit: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.add({ commit, resolve, reject }));
  }

  resolveUpTo(commit: number): void {
    for (const waiter of this.#waiters) {
      if (waiter.commit > commit) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  reject(error: unknown): void {
    for (const { reject } of this.#waiters) reject(error);
    this.#waiters.clear();
  }
}
