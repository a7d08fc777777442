/** What a cluster cannot do yet is refused at the start, not found out later. */
import { EquipoiseError } from "@equipoise/shared";
import type { BrokerConfig } from "../config.ts";

/** @throws EquipoiseError EQ_CONFIG_BAD_VALUE for pools that are ordered by key */
export function requireClusterPolicies({ pools, routing, undeclaredPools }: BrokerConfig): void {
  for (const [at, said] of pools.entries()) requireUnordered(`pools[${at}]`, said);
  for (const [at, said] of routing.entries()) requireUnordered(`routing[${at}]`, said);
  requireUnordered("undeclaredPools", undeclaredPools);
}

function requireUnordered(
  path: string,
  { ordering, strategy }: { ordering?: string | undefined; strategy?: string | undefined },
): void {
  const value = ordering === "key" ? "ordering: key" : `strategy: ${strategy}`;
  if (ordering !== "key" && strategy !== "key_affinity") return;
  throw new EquipoiseError(
    "EQ_CONFIG_BAD_VALUE",
    `${path}.${value}: order by key holds on one broker, not yet with durability: cluster`,
  );
}
