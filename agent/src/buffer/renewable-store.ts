/** The store in its thread, which goes on with a new database when the one in use turns out to be damaged. */
import { EquipoiseError } from "@equipoise/shared";
import type { SeqRange } from "./chunk.ts";
import type { Commit, Committed, DamagedPage, Opened, Page, StoreOptions } from "./protocol.ts";
import { StoreThread } from "./thread.ts";

export class RenewableStore {
  readonly #thread = new StoreThread();
  readonly #renew: (thread: StoreThread, error: EquipoiseError) => Promise<void>;
  #renewing: Promise<void> | undefined;

  /** @param renew opens a new database; called once for a damaged one, whoever finds the damage */
  constructor(renew: (thread: StoreThread, error: EquipoiseError) => Promise<void>) {
    this.#renew = renew;
  }

  /** @throws EquipoiseError what {@link Store.open} throws */
  async open(options: StoreOptions): Promise<Opened> {
    try {
      return await this.#thread.open(options);
    } catch (error) {
      await this.#thread.terminate();
      throw error;
    }
  }

  commit(commit: Commit): Promise<Committed> {
    return this.#renewed(() => this.#thread.commit(commit));
  }

  read(position: number, direction: "up" | "down"): Promise<Page | DamagedPage | undefined> {
    return this.#renewed(() => this.#thread.read(position, direction));
  }

  range(range: SeqRange, limit: number): Promise<string[]> {
    return this.#renewed(() => this.#thread.range(range, limit));
  }

  /** See {@link Store.close}. */
  close(clean: boolean): Promise<boolean> {
    return this.#thread.close(clean);
  }

  async #renewed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof EquipoiseError) || error.code !== "EQ_STORE_DAMAGED") throw error;
      this.#renewing ??= this.#renew(this.#thread, error).finally(() => {
        this.#renewing = undefined;
      });
      await this.#renewing;
      return await work();
    }
  }
}
