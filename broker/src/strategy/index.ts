import { LeastConnections } from "./least-connections.ts";
import { RoundRobin } from "./round-robin.ts";
import type { Strategy, StrategyName } from "./strategy.ts";

export { type MemberView, type Pick, type Strategy, type StrategyName, strategyNames } from "./strategy.ts";

/** A new strategy by name; each pool has its own. */
export function createStrategy(name: StrategyName, random: () => number): Strategy {
  return name === "round_robin" ? new RoundRobin() : new LeastConnections(random);
}
