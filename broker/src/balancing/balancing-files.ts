/** The balancing files in force: what they say of a pool goes before the configuration, also for a pool yet to come. */
import { isDeepStrictEqual } from "node:util";
import { EquipoiseError } from "@equipoise/shared";
import type { BalancingRules } from "@equipoise/shared/balancing";
import type { PoolPolicy } from "../pool/contract.ts";
import { createStrategy } from "../strategy/index.ts";
import { readRules } from "./rules-file.ts";
import { tuningOf } from "./tuning.ts";

export class BalancingFiles {
  readonly #paths: readonly string[];
  readonly #random: () => number;
  #rules: ReadonlyMap<string, BalancingRules> = new Map();

  /** @param random uniform in [0, 1) */
  constructor(paths: readonly string[], random: () => number) {
    this.#paths = paths;
    this.#random = random;
  }

  /**
   * Reads all files; when one of them is broken, all stay in force as they were.
   * @returns the pools of which something else is said than before
   * @throws EquipoiseError EQ_CONFIG_BALANCING
   */
  async load(): Promise<string[]> {
    const rules = new Map<string, BalancingRules>();
    for (const path of this.#paths) {
      const read = await readRules(path);
      if (rules.has(read.pool)) throw twice(path, read.pool);
      rules.set(read.pool, read);
    }
    const before = this.#rules;
    this.#rules = rules;
    const named = new Set([...before.keys(), ...rules.keys()]);
    return [...named].filter((pool) => !isDeepStrictEqual(before.get(pool), rules.get(pool)));
  }

  /** A pool's policy with what its file says, if there is one. */
  ruled(policy: PoolPolicy): PoolPolicy {
    const rules = this.#rules.get(policy.name);
    if (rules === undefined) return policy;
    const { weights, members } = tuningOf(rules);
    const said = Object.entries(members).filter(([, health]) => health !== "HEALTHY");
    return {
      ...policy,
      ...this.#strategyOf(rules),
      weights: { ...policy.weights, ...weights },
      operatorHealth: Object.fromEntries(said),
    };
  }

  #strategyOf({ strategy }: BalancingRules): Partial<PoolPolicy> {
    if (strategy === undefined) return {};
    const created = { strategy: createStrategy(strategy, this.#random) };
    // Affinity is about keys.
    return strategy === "key_affinity" ? { ...created, ordering: "key" } : created;
  }
}

function twice(path: string, pool: string): EquipoiseError {
  return new EquipoiseError(
    "EQ_CONFIG_BALANCING",
    `${path}: another of the balancing files speaks of pool ${pool}`,
  );
}
