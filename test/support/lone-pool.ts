/** A pool without a broker, in a time of the caller's: the product's own members, credits, backlog and strategies. */
import { createHealthChecker } from "../../broker/src/health/index.ts";
import { MemoryJournal } from "../../broker/src/journal/memory.ts";
import { Backlog } from "../../broker/src/pool/backlog.ts";
import type { PoolPolicy, PoolSurroundings } from "../../broker/src/pool/contract.ts";
import { Pool } from "../../broker/src/pool/pool.ts";
import { createStrategy } from "../../broker/src/strategy/index.ts";

/** The filter of its only backlog. */
export const poolFilter = "ticks/#";
/** Milliseconds between two of a pool's regular checks, as the broker does them. */
export const expiryPeriodMs = 100;
const endlessBytes = 2 ** 40;

export interface LonePoolOptions {
  nowMs: () => number;
  /** Uniform in [0, 1). */
  random: () => number;
  policy?: Partial<PoolPolicy>;
  /** What the caller wants to hear of; dropped messages are an error unless it does. */
  surroundings?: Partial<PoolSurroundings>;
}

export interface LonePool {
  pool: Pool;
  backlog: Backlog;
  journal: MemoryJournal;
}

/** A pool with one backlog that has no end. */
export function lonePool({ nowMs, random, policy = {}, surroundings = {} }: LonePoolOptions): LonePool {
  const journal = new MemoryJournal();
  const ignore = (): void => {};
  const pool: Pool = new Pool(policyOf(random, policy), {
    ...{ wake: ignore, onFailed: ignore, onHealth: ignore, onPanic: ignore, onRescued: ignore },
    openBacklog: () => backlog,
    onDropped: (_pool, messages) => {
      throw new Error(`${messages} messages dropped by a backlog without end`);
    },
    bury: (_pool, _filter, delivery) => pool.onAcknowledged(delivery),
    onCheckerFailed: (_pool, reason) => {
      throw new Error(`the health checker failed: ${reason}`);
    },
    random,
    wallMs: nowMs,
    monotonicMs: nowMs,
    ...surroundings,
  });
  const backlog: Backlog = new Backlog({
    limits: { maxBytes: endlessBytes, maxHotBytes: endlessBytes },
    journal,
    queue: undefined,
    onReady: () => pool.onReady(backlog),
    onReadFailed: (error) => {
      throw error;
    },
  });
  pool.adopt(poolFilter, backlog);
  return { pool, backlog, journal };
}

function policyOf(random: () => number, said: Partial<PoolPolicy>): PoolPolicy {
  return {
    name: "p",
    declared: true,
    strategy: createStrategy("performance_based", random),
    health: createHealthChecker("advanced"),
    weights: {},
    fallback: undefined,
    ordering: "none",
    key: "topic",
    ackTimeoutMs: 30_000,
    maxDeliveries: 5,
    maxBacklogBytes: endlessBytes,
    whenFull: "backpressure",
    retainWhenEmptyMs: 1_000,
    ...said,
  };
}
