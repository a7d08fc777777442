import type { MemberReport, PoolReport } from "@equipoise/shared";
import type { Lane } from "./lane.ts";
import type { Pool } from "./pool.ts";

/** What a pool counts by itself, since it was made. */
export interface PoolCounts {
  redelivered: number;
  rescued: number;
}

/** One pool for people and other programs. */
export function reportOfPool(
  pool: Pool,
  lanes: readonly Lane[],
  counts: PoolCounts,
  memberReports: MemberReport[],
): PoolReport & { memberReports: MemberReport[] } {
  const { members } = pool;
  return {
    name: pool.name,
    members: pool.memberCount,
    backlog: sum(lanes, ({ waitingEverywhere }) => waitingEverywhere),
    backlogBytes: sum(lanes, ({ backlog }) => backlog.byteLength),
    maxBacklogBytes: pool.policy.maxBacklogBytes,
    pressed: lanes.some(({ backlog }) => backlog.pressed),
    inFlight: sum(members, ({ inFlight }) => inFlight),
    freeCredit: sum(members, ({ freeCredit }) => freeCredit),
    settled: sum(lanes, ({ backlog }) => backlog.settled),
    ...counts,
    panic: pool.panic,
    dropped: sum(lanes, ({ backlog }) => backlog.dropped),
    memberReports,
  };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
