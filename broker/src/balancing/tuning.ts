import type { BalancingRules } from "@equipoise/shared/balancing";
import type { PoolTuning } from "../control/pool-operations.ts";

/** Balancing rules as what the control socket understands; what they leave open stays as it is. */
export function tuningOf({ strategy, members }: BalancingRules): PoolTuning & Named {
  const weights: Named["weights"] = {};
  const health: Named["members"] = {};
  for (const member of members) {
    if (member.weight !== undefined) weights[member.clientId] = member.weight;
    if (member.health !== undefined) health[member.clientId] = member.health;
  }
  return { ...(strategy === undefined ? {} : { strategy }), weights, members: health };
}

/** By client id. */
interface Named {
  weights: Record<string, number>;
  members: NonNullable<PoolTuning["members"]>;
}
