/** What an operator can see and do while the broker runs. */
import type { MemberReport, PoolReport } from "@equipoise/shared";
import type { DeadLetter, DeadLetters } from "../pool/dead-letters.ts";
import type { Pools } from "../pool/pools.ts";

/** A pool as an operator sees it. */
export interface PoolStatus extends PoolReport {
  declared: boolean;
  strategy: string;
  ordering: string;
  whenFull: string;
  maxBacklogBytes: number;
  filters: string[];
  deadLetters: number;
  memberReports: MemberReport[];
}

export interface PoolsStatus {
  broker: string;
  pools: PoolStatus[];
}

export class PoolOperations {
  readonly #broker: string;
  readonly #pools: Pools;
  readonly #dead: DeadLetters;

  constructor(broker: string, pools: Pools, dead: DeadLetters) {
    this.#broker = broker;
    this.#pools = pools;
    this.#dead = dead;
  }

  pools(): PoolsStatus {
    const pools = Array.from(this.#pools.all(), (pool) => {
      const { declared, strategy, ordering, whenFull, maxBacklogBytes } = pool.policy;
      const deadLetters = this.#dead.count(pool.name);
      const filters = [...pool.filters];
      const policy = { declared, strategy: strategy.name, ordering, whenFull, maxBacklogBytes };
      return { ...pool.report(), ...policy, filters, deadLetters };
    });
    return { broker: this.#broker, pools };
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

  purge(pool: string): number {
    return this.#dead.purge(pool);
  }
}
