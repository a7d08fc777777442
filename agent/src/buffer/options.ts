/** What a buffer is given and what it says of itself. */
import type { Clock, Logger } from "@equipoise/shared";
import type { WhenFull } from "./bound.ts";
import { createEpoch } from "./epoch.ts";
import type { Bounds, StoreOptions } from "./protocol.ts";
import type { RoomState } from "./room.ts";

export interface BufferOptions {
  agentId: string;
  directory: string;
  /** Most bytes of the database in use. */
  maxBytes: number;
  /** Ticks that wait longer are given up, whatever `whenFull` says. */
  maxAgeMs: number;
  /** So much of the disk is left free. */
  minFreeDiskBytes: number;
  whenFull: WhenFull;
  /** How long a tick that is not acknowledged may be in memory alone. */
  commitLatencyMs: number;
  /** How long acknowledged ticks are kept for those who ask for them again, and how many bytes of them. */
  keepAcknowledgedMs: number;
  keepAcknowledgedBytes: number;
  /** So many damaged databases that were set aside stay, and so many bytes of all but the newest. */
  setAsideFiles: number;
  setAsideBytes: number;
  drain: "oldestFirst" | "newestFirst";
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
}

export interface BufferStats {
  state: RoomState;
  /** Not yet acknowledged. */
  ticks: number;
  /** Of the database. */
  bytes: number;
  /** Committed or acknowledged since the start. */
  safe: number;
  /** Ticks that were given up since the start: too many, too old, or damaged on the disk. */
  lost: number;
  oldestAgeMs: number | null;
  /** Damaged databases that were set aside: those there are, and how many have been removed since the start. */
  setAside: { files: number; bytes: number; removed: number };
}

export function storeOptionsOf(options: BufferOptions): StoreOptions {
  const {
    agentId,
    directory,
    clock,
    random,
    setAsideFiles: maxFiles,
    setAsideBytes: maxOlderBytes,
  } = options;
  const setAsideBounds = { maxFiles, maxOlderBytes };
  const freshEpoch = createEpoch(clock, random);
  return { directory, agentId, setAsideBounds, freshEpoch, wallMs: clock.wallMs() };
}

/** What a commit has to keep to. @param evictable see {@link Bounds} */
export function boundsOf(options: BufferOptions, uptimeMs: number, evictable: Bounds["evictable"]): Bounds {
  const { maxBytes, minFreeDiskBytes, maxAgeMs, keepAcknowledgedMs, keepAcknowledgedBytes } = options;
  return {
    maxBytes,
    minFreeDiskBytes,
    keepFromUptimeMs: uptimeMs - keepAcknowledgedMs,
    keepBytes: keepAcknowledgedMs === 0 ? 0 : keepAcknowledgedBytes,
    expireBeforeUptimeMs: uptimeMs - maxAgeMs,
    evict: options.whenFull === "dropOldest",
    evictable,
  };
}
