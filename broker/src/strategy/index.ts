import { KeyAffinity } from "./key-affinity.ts";
import { LeastConnections } from "./least-connections.ts";
import { PerformanceBased } from "./performance-based.ts";
import { RoundRobin } from "./round-robin.ts";
import type { Strategy, StrategyName } from "./strategy.ts";
import { Weighted } from "./weighted.ts";

export { ServiceTime } from "./service-time.ts";
export {
  type Choice,
  type MemberView,
  type Pick,
  type Strategy,
  type StrategyName,
  strategyNames,
} from "./strategy.ts";

const strategies: Record<StrategyName, new (random: () => number) => Strategy> = {
  performance_based: PerformanceBased,
  least_connections: LeastConnections,
  weighted: Weighted,
  round_robin: RoundRobin,
  key_affinity: KeyAffinity,
};

/** A new strategy by name; each pool has its own. */
export function createStrategy(name: StrategyName, random: () => number): Strategy {
  return new strategies[name](random);
}
