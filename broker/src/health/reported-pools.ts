import type { BrokerHeartbeat } from "@equipoise/shared";

/** In one heartbeat, which is sent every second and kept by whoever reads it. */
export const maxReportedPools = 256;
export const maxReportedMembers = 64;

type Pools = BrokerHeartbeat["pools"];

/** The pools as a heartbeat says them: beyond the bounds pools, and members by themselves, are only counted. */
export function reportedPools(all: Pools): Pick<BrokerHeartbeat, "pools" | "omitted"> {
  const shown = all.slice(0, maxReportedPools);
  let room = maxReportedMembers;
  const pools = shown.map((pool) => {
    const memberReports = pool.memberReports.slice(0, room);
    room -= memberReports.length;
    return { ...pool, memberReports };
  });
  const members = countMembers(all) - countMembers(pools);
  return { pools, omitted: { pools: all.length - pools.length, members } };
}

const countMembers = (pools: Pools): number =>
  pools.reduce((sum, { memberReports }) => sum + memberReports.length, 0);
