/** Contract of the journal: what makes an acknowledged message survive. */
import type { Chunk } from "./chunk.ts";
import type { Slice } from "./slice.ts";

/** A durable queue by its journal number; the numbers are given out by `openQueue`. */
export type QueueId = number;

/** A queue that the journal knows, with what it had not settled when the broker ended. */
export interface RecoveredQueue {
  id: QueueId;
  pool: string;
  filter: string;
  /** In journal order; the chunks are not in memory. */
  slices: Slice[];
}

export interface JournalStats {
  /** Chunks with messages that some queue has not settled. */
  chunks: number;
  commits: number;
  /** Chunks handed over for commit and not yet durable. */
  pendingChunks: number;
}

/** The outcome of an append; an error means: nothing of this chunk is durable and nothing of it may be acknowledged. */
export type Committed = (error: Error | undefined) => void;

export interface Journal {
  /** Opens the store and returns what has to be delivered again. */
  start(): Promise<RecoveredQueue[]>;
  /** Position for the next chunk; negative where chunks only live in memory. */
  nextId(): number;
  /** Number of a queue; made durable with the next commit. */
  openQueue(pool: string, filter: string): QueueId;
  /** Forgets a queue and all that it has not settled. */
  closeQueue(queue: QueueId): void;
  /** Stores a chunk and who must get what of it. Chunks are committed in the order of their appends. */
  append(chunk: Chunk, owed: readonly { queue: QueueId; slice: Slice }[], committed: Committed): void;
  /** Notes that a slice has changed or is wholly settled; written with the next commit, within 100 ms. */
  settled(queue: QueueId, slice: Slice): void;
  /** Brings chunks back into memory. */
  read(chunks: readonly Chunk[], done: (error: Error | undefined) => void): void;
  stats(): JournalStats;
  /** Writes what is left and closes. */
  stop(): Promise<void>;
}
