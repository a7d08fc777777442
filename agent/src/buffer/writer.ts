/** Writes batches into the database, and on a disk that refuses them what can be written instead. */
import type { Batch } from "./batch.ts";
import type { Commits } from "./commits.ts";
import { isWeather } from "./group-commit.ts";
import type { Commit, Committed } from "./protocol.ts";
import type { Rescue } from "./rescue.ts";

export interface WriterOptions {
  commits: Commits;
  rescue: Rescue;
  /** @throws EquipoiseError EQ_STORE_FULL, EQ_STORE_FAILED */
  commit: (commit: Commit) => Promise<Committed>;
  /** Takes note of one that was beside the batches. */
  noted: (commit: Commit, committed: Committed) => void;
}

export class Writer {
  readonly #options: WriterOptions;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** The batch and whatever else has changed, behind what was rescued. @throws EquipoiseError as the commit does */
  async write(batch: Batch): Promise<{ commit: Commit; committed: Committed }> {
    await this.storeRescued(this.#options.commit);
    const commit = this.#options.commits.of(batch);
    return { commit, committed: await this.#options.commit(commit) };
  }

  /** @throws EquipoiseError as `commit` does; what is left comes before the next batch */
  async storeRescued(commit: WriterOptions["commit"]): Promise<void> {
    const { commits, rescue } = this.#options;
    await rescue.store((batch) => this.#write(commits.rescuing(batch), commit));
  }

  /** A batch was refused. What is small may go all the same, and make room, or keep the numbers going. */
  async afterRefusal(): Promise<void> {
    const { commits } = this.#options;
    await this.#try(commits.trimming());
    const reserving = commits.reserving();
    if (reserving !== undefined) await this.#try(reserving);
  }

  /** Writes down, for the last time, that these batches are lost. @returns whether the disk has taken that */
  giveUp(batches: readonly Batch[]): Promise<boolean> {
    return this.#try(this.#options.commits.givingUp(batches));
  }

  async #write(wanted: Commit, commit = this.#options.commit): Promise<void> {
    this.#options.noted(wanted, await commit(wanted));
  }

  async #try(commit: Commit): Promise<boolean> {
    try {
      await this.#write(commit);
      return true;
    } catch (error) {
      if (isWeather(error)) return false;
      throw error;
    }
  }
}
