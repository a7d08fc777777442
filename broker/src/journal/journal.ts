/** Contract of the journal: what makes an acknowledged message survive. */
import type { Chunk } from "./chunk.ts";
import type { FailedAttempts, Slice } from "./slice.ts";

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

/** A session that outlives its connection. */
export interface KeptSession {
  clientId: string;
  /** Filters as the client wrote them, with the granted QoS. */
  subscriptions: [filter: string, qos: number][];
}

/** Everything that has to live on after a restart. */
export interface Recovery {
  queues: RecoveredQueue[];
  /** Frames of retained messages by topic. */
  retained: { topic: string; frame: Buffer }[];
  sessions: KeptSession[];
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
  /** What it takes in survives the process. */
  readonly durable: boolean;
  /** Opens the store and returns what it has kept. */
  start(): Promise<Recovery>;
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
  /** Notes that an attempt of a message has failed. */
  attempted(queue: QueueId, slice: Slice, index: number, failed: FailedAttempts): void;
  /** Brings chunks back into memory; one that is damaged stays without its bytes. */
  read(chunks: readonly Chunk[], done: (error: Error | undefined) => void): void;
  /** Keeps a topic's retained message, or forgets it; written with the next commit. */
  retain(topic: string, frame: Buffer | undefined): void;
  /** Keeps a session's subscriptions as they are at the next commit, or forgets the session. */
  keepSession(clientId: string, subscriptions: (() => KeptSession["subscriptions"]) | undefined): void;
  /** Calls back when everything given to the journal before is durable. */
  flush(done: Committed): void;
  stats(): JournalStats;
  /** Writes what is left and closes. */
  stop(): Promise<void>;
}
