/** What the buffer and its thread say to each other. One request is answered by one reply, in order. */
import type { ErrorCode, GapReason, Missing } from "@equipoise/shared";
import type { Beginning } from "./beginning.ts";
import type { Chunk, SeqRange } from "./chunk.ts";
import type { SetAsideBounds, SetAsideState } from "./set-aside-files.ts";

/** The database's file in the data directory. */
export const databaseName = "buffer.db";
/** Beside it, see spare-room.ts. */
export const spareName = "buffer.spare";

export interface StoreOptions {
  directory: string;
  agentId: string;
  /** Used only when a new database is begun. */
  freshEpoch: string;
  wallMs: number;
  setAsideBounds: SetAsideBounds;
  /** A database that was set aside while the agent ran is continued by a new one: everything is known. */
  continued?: Omit<Beginning, "agent">;
}

export interface StoredStream {
  id: number;
  venue: string;
  symbol: string;
  /** The last sequence number given to a tick of a commit. */
  seq: number;
  /** The last number that may have been given to a tick; equal to `seq` after a clean end. */
  reserved: number;
  /** How far it had been read, see {@link ReadMark}: JSON, or empty. */
  mark?: string;
}

/** Numbers of a stream of an epoch before. */
export interface EarlierRange {
  epoch: string;
  venue: string;
  symbol: string;
  fromSeq: number;
  toSeq: number;
}

/** Numbers of a stream whose ticks this agent no longer has and that never were acknowledged. */
export interface LostRange extends SeqRange {
  /** `crash` and `feed` only of gap records that were lost themselves. */
  reason: GapReason;
  /** What the gap record says when it is more than this range. */
  missing?: Missing;
}

/** What the database held when it was opened. */
export interface Opened {
  epoch: string;
  /**
   * The epoch before, when a stream that begins may have had numbers of it that nobody knows; empty when nobody knows that
   * epoch either, null when there was none or all its streams are here.
   */
  earlierEpoch: string | null;
  streams: StoredStream[];
  /** The highest number that a stream had which is forgotten: a new one may be any of those and begins behind it. */
  forgottenSeq: number;
  /** Positions that need not be sent any more, see {@link Positions}. */
  done: number[];
  /** The position that comes next. */
  end: number;
  /** The first position that the database still has; undefined without any. */
  oldest: number | undefined;
  uptimeMs: number;
  lost: LostRange[];
  usedBytes: number;
  /** Where a damaged database was set aside to. */
  setAside: string | undefined;
  /** All that are set aside now. */
  setAsideFiles: SetAsideState;
}

/** Bounds, and what they may do away with. */
export interface Bounds {
  maxBytes: number;
  minFreeDiskBytes: number;
  /** Acknowledged ticks from before this go. */
  keepFromUptimeMs: number;
  /** Acknowledged ticks beyond this go, the oldest first. */
  keepBytes: number;
  /** Ticks from before this go, acknowledged or not. */
  expireBeforeUptimeMs: number;
  /** Over a bound the oldest unacknowledged ticks go. */
  evict: boolean;
  /** Chunks wholly within these positions may be evicted: nothing of them is on its way to the broker. */
  evictable: readonly [from: number, before: number];
}

/** One transaction. */
export interface Commit {
  chunk: Chunk | undefined;
  /** Those that changed. */
  streams: StoredStream[];
  /** Those that are forgotten, see {@link Opened.forgottenSeq}. */
  forgotten: { ids: readonly number[]; seq: number };
  done: number[];
  uptimeMs: number;
  /** Numbers that were given to ticks and given up before a commit. */
  dropped: LostRange[];
  /** Those that a gap record of this commit tells of. */
  told: LostRange[];
  /** Undefined: nothing goes. */
  bounds: Bounds | undefined;
  /** It is small and must be: on a full disk it gets the room that is kept for it, see spare-room.ts. */
  isVital: boolean;
}

export interface Committed {
  usedBytes: number;
  /** Less of the disk is free than is to be left, even after all has gone that may. */
  diskLow: boolean;
  /** The first position that the database still has; undefined without any. */
  oldest: number | undefined;
  /** First and last position of each chunk that was evicted. */
  evicted: (readonly [number, number])[];
  /** All that no gap record tells of yet. */
  lost: LostRange[];
}

/** The ticks of one chunk. */
export interface Page {
  chunk: Chunk;
  /** First and last position; nothing stands between the position that was asked for and these. */
  extent: readonly [number, number];
}

/** A chunk that could not be read and is no longer there. */
export interface DamagedPage {
  extent: readonly [number, number];
  lost: LostRange[];
}

export type Request =
  | { kind: "open"; options: StoreOptions }
  | { kind: "commit"; commit: Commit }
  | { kind: "read"; position: number; direction: "up" | "down" }
  | { kind: "range"; range: SeqRange; limit: number }
  | { kind: "close"; clean: boolean };

export type Reply =
  | { kind: "opened"; opened: Opened }
  | { kind: "committed"; committed: Committed }
  | { kind: "page"; page: Page | DamagedPage | undefined }
  | { kind: "ranged"; payloads: string[] }
  | { kind: "closed"; released: boolean }
  | { kind: "failed"; code: ErrorCode; detail: string };
