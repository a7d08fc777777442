/** What the buffer and its thread say to each other. One request is answered by one reply, in order. */
import type { ErrorCode } from "@equipoise/shared";

export interface StoreOptions {
  directory: string;
  agentId: string;
  /** Used only when a new database is begun. */
  freshEpoch: string;
  wallMs: number;
}

export interface StoredStream {
  id: number;
  venue: string;
  symbol: string;
  /** The last sequence number given. */
  seq: number;
}

/** What the database held when it was opened. */
export interface Opened {
  epoch: string;
  streams: StoredStream[];
  /** Position of the oldest tick; equal to `end` when there is none. */
  begin: number;
  /** The position that comes next. */
  end: number;
  usedBytes: number;
  /** Where a damaged database was set aside to. */
  setAside: string | undefined;
}

/** One transaction: ticks to add, the streams they changed, and what to delete. */
export interface Commit {
  /** Position of the first tick. */
  first: number;
  /** The records, each with a line feed behind it; JSON never holds one. One string crosses threads cheapest. */
  payloads: string;
  /** The stream of each record. */
  streamIds: Uint32Array;
  streams: StoredStream[];
  bufferedTimeMs: number;
  /** Delete everything up to here. */
  settled: number;
}

export interface Page {
  first: number;
  payloads: string[];
  streamIds: Uint32Array;
  bufferedTimesMs: Float64Array;
}

export type Request =
  | { kind: "open"; options: StoreOptions }
  | { kind: "commit"; commit: Commit }
  | { kind: "read"; from: number; limit: number }
  | { kind: "close" };

export type Reply =
  | { kind: "opened"; opened: Opened }
  | { kind: "committed"; usedBytes: number }
  | { kind: "page"; page: Page }
  | { kind: "closed" }
  | { kind: "failed"; code: ErrorCode; detail: string };
