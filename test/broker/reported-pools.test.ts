import type { BrokerHeartbeat } from "@equipoise/shared";
import { test } from "tap";
import {
  maxReportedMembers,
  maxReportedPools,
  reportedPools,
} from "../../broker/src/health/reported-pools.ts";

/** A pool of which a heartbeat goes by the name and the members' number. */
function pool(name: string, members: number): BrokerHeartbeat["pools"][number] {
  const memberReports = Array.from({ length: members }, (_, at) => ({ clientId: `${name}-${at}` }));
  return { name, members, memberReports } as BrokerHeartbeat["pools"][number];
}

test("a heartbeat says every member of a few", async (t) => {
  const all = [pool("a", 3), pool("b", maxReportedMembers - 3)];
  t.same(reportedPools(all), { pools: all, omitted: { pools: 0, members: 0 } });
});

test("beyond the bound members are counted, and their pools are still said", async (t) => {
  const { pools, omitted } = reportedPools([pool("a", maxReportedMembers - 1), pool("b", 5), pool("c", 2)]);
  t.same(
    pools.map(({ name, members, memberReports }) => [name, members, memberReports.length]),
    [
      ["a", maxReportedMembers - 1, maxReportedMembers - 1],
      ["b", 5, 1],
      ["c", 2, 0],
    ],
  );
  t.same(omitted, { pools: 0, members: 6 });
});

test("beyond the bound pools are counted, with their members", async (t) => {
  const all = Array.from({ length: maxReportedPools + 2 }, (_, at) =>
    pool(`p${at}`, at < maxReportedPools ? 0 : 3),
  );
  const { pools, omitted } = reportedPools(all);
  t.equal(pools.length, maxReportedPools);
  t.same(omitted, { pools: 2, members: 6 });
});
