/** What an operator can see and do while the broker runs. */
import { EquipoiseError, limits, type MemberReport, type PoolReport } from "@equipoise/shared";
import * as z from "zod";
import { createHealthChecker, healthCheckerNames, healthStates } from "../health/index.ts";
import type { DeadLetter, DeadLetterBook } from "../pool/dead-letters.ts";
import type { Decision } from "../pool/decisions.ts";
import type { Pool } from "../pool/pool.ts";
import type { Pools } from "../pool/pools.ts";
import { createStrategy, strategyNames } from "../strategy/index.ts";

/** A pool as an operator sees it. */
export interface PoolStatus extends PoolReport {
  declared: boolean;
  strategy: string;
  health: string;
  ordering: string;
  whenFull: string;
  filters: string[];
  deadLetters: number;
  memberReports: MemberReport[];
}

/** What of a pool's balancing can be changed while the broker runs; what is not given stays. */
export const poolTuning = z.strictObject({
  strategy: z.enum(strategyNames).optional(),
  health: z.enum(healthCheckerNames).optional(),
  /** By client id; added to those there are, null takes one away. */
  weights: z.record(z.string().min(1), z.number().min(0).max(limits.maxWeight).nullable()).optional(),
  /** By client id: HEALTHY leaves it to the checker again. */
  members: z.record(z.string().min(1), z.enum(healthStates)).optional(),
});
export type PoolTuning = z.infer<typeof poolTuning>;

/** Clients of which something is said by name, in one pool. */
const maxNamed = 10_000;

export interface PoolsStatus {
  broker: string;
  pools: PoolStatus[];
}

export class PoolOperations {
  readonly #broker: string;
  readonly #pools: Pools;
  readonly #dead: DeadLetterBook;

  readonly #random: () => number;
  readonly #onTuned: (pool: Pool) => void;

  /**
   * @param random uniform in [0, 1)
   * @param onTuned told of each pool that the operator has tuned
   */
  constructor(
    broker: string,
    pools: Pools,
    dead: DeadLetterBook,
    random: () => number,
    onTuned: (pool: Pool) => void = () => {},
  ) {
    this.#broker = broker;
    this.#pools = pools;
    this.#dead = dead;
    this.#random = random;
    this.#onTuned = onTuned;
  }

  pools(): PoolsStatus {
    const pools = Array.from(this.#pools.all(), (pool) => {
      const { declared, strategy, health, ordering, whenFull, maxBacklogBytes } = pool.policy;
      const deadLetters = this.#dead.count(pool.name);
      const filters = [...pool.filters];
      const names = { strategy: strategy.name, health: health.name };
      const policy = { declared, ...names, ordering, whenFull, maxBacklogBytes };
      return { ...pool.report(), ...policy, filters, deadLetters };
    });
    return { broker: this.#broker, pools };
  }

  /** A sample of a pool's choices, oldest first; `undefined` when there is no such pool. */
  decisions(name: string): Decision[] | undefined {
    return this.#pools.get(name)?.decisions;
  }

  /**
   * Changes how a pool balances, until the broker starts again.
   * @returns whether there is such a pool
   * @throws EquipoiseError EQ_CONTROL_REFUSED, EQ_LIMIT_REACHED
   */
  tune(name: string, { strategy, health, weights, members }: PoolTuning): boolean {
    const pool = this.#pools.get(name);
    if (pool === undefined) return false;
    const { policy } = pool;
    if (strategy === "key_affinity" && policy.ordering !== "key")
      throw new EquipoiseError("EQ_CONTROL_REFUSED", `${name} has no order by key: key_affinity needs one`);
    const operatorHealth = merged(policy.operatorHealth ?? {}, members, "HEALTHY");
    this.#pools.tune(name, {
      ...(strategy === undefined ? {} : { strategy: createStrategy(strategy, this.#random) }),
      ...(health === undefined ? {} : { health: createHealthChecker(health) }),
      weights: merged(policy.weights, weights, null),
      operatorHealth,
    });
    this.#onTuned(pool);
    return true;
  }

  /** Why a pool was not deleted, or `undefined`. */
  deletePool(name: string): string | undefined {
    return this.#pools.delete(name);
  }

  deadLetters(pool: string, limit: number): Promise<DeadLetter[]> {
    return this.#dead.list(pool, Number.isSafeInteger(limit) && limit > 0 ? limit : 1);
  }

  replay(pool: string): Promise<number> {
    return this.#dead.replay(pool, (filter) => this.#pools.get(pool)?.backlogOf(filter));
  }

  purge(pool: string): Promise<number> {
    return this.#dead.purge(pool);
  }
}

/** What was there, with what is new; a value that means nothing takes its entry away. */
function merged<V>(
  before: Readonly<Record<string, V>>,
  added: Readonly<Record<string, V | null>> = {},
  nothing: V | null,
): Record<string, V> {
  const entries = Object.entries({ ...before, ...added }).filter(([, value]) => value !== nothing);
  if (entries.length > maxNamed)
    throw new EquipoiseError("EQ_LIMIT_REACHED", `${maxNamed} clients named in one pool`);
  return Object.fromEntries(entries) as Record<string, V>;
}
