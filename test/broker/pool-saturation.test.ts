import { test } from "tap";
import { createStrategy } from "../../broker/src/strategy/index.ts";
import { VirtualPool } from "./virtual-pool.ts";

/** A pool with more waiting than it can do: members that take so many milliseconds for a message, for so long. */
function saturated(worksMs: readonly number[], forMs: number) {
  const world = new VirtualPool({ strategy: createStrategy("performance_based", () => 0.4) });
  const members = worksMs.map((workMs, at) => ({ client: world.join(`m${at}`), workMs, doneAtMs: 0 }));
  const beginMs = world.nowMs;
  const settled: number[] = [];
  for (let passedMs = 1; passedMs <= forMs; passedMs++) {
    if (world.pool.waiting < 100) world.publish(200);
    world.nowMs = beginMs + passedMs;
    for (const member of members) {
      const { client, workMs, doneAtMs } = member;
      const startedMs = Math.max(doneAtMs, client.held[0]?.sentAtMs ?? Number.POSITIVE_INFINITY);
      if (startedMs + workMs > world.nowMs) continue;
      client.acknowledge();
      member.doneAtMs = world.nowMs;
    }
    if (passedMs % 100 === 0) world.pool.expire(world.nowMs);
    world.pool.drain();
    settled.push(world.settled);
  }
  const half = settled.length / 2;
  return {
    perMs: ((settled.at(-1) as number) - (settled[half] as number)) / half,
    capacity: worksMs.reduce((sum, workMs) => sum + 1 / workMs, 0),
    got: members.map(({ client }) => client.got.length),
  };
}

for (const worksMs of [
  [1, 10],
  [2, 4, 8],
  [1, 1, 1, 10],
  [5, 100],
]) {
  test(`a queue that does not end keeps members of ${worksMs.join(", ")} ms all busy: none is waited for instead`, (t) => {
    const { perMs, capacity, got } = saturated(worksMs, 10_000);
    t.ok(
      perMs >= 0.97 * capacity,
      `${perMs.toFixed(3)} of ${capacity.toFixed(3)} a millisecond, ${got.join(" ")}`,
    );
    t.end();
  });
}
