import type { Chunk } from "./chunk.ts";
import type { Committed, Journal, JournalStats, QueueId, Recovery } from "./journal.ts";

/** Keeps nothing: messages live as long as the process. */
export class MemoryJournal implements Journal {
  #lastId = 0;
  #lastQueue = 0;
  #commits = 0;

  readonly durable = false;

  async start(): Promise<Recovery> {
    return { queues: [], retained: [], sessions: [] };
  }

  nextId(): number {
    return --this.#lastId;
  }

  openQueue(): QueueId {
    return ++this.#lastQueue;
  }

  closeQueue(): void {}

  append(_chunk: Chunk, _owed: unknown, committed: Committed): void {
    this.#commits++;
    committed(undefined);
  }

  settled(): void {}

  attempted(): void {}

  read(_chunks: readonly Chunk[], done: (error: Error | undefined) => void): void {
    done(undefined);
  }

  retain(): void {}

  keepSession(): void {}

  flush(done: Committed): void {
    done(undefined);
  }

  stats(): JournalStats {
    return { chunks: 0, commits: this.#commits, pendingChunks: 0 };
  }

  async stop(): Promise<void> {}
}
