/** What holds for one pool: what its own configuration says, else the first rule that it matches, else the defaults. */
import { matchesGlob } from "node:path";
import { createHealthChecker, type HealthCheckerName } from "../health/index.ts";
import { covers } from "../router/cover.ts";
import { createStrategy, type StrategyName } from "../strategy/index.ts";
import type { PoolPolicy, WhenFull } from "./contract.ts";

export interface Fallback {
  /** The pool whose members help out. */
  pool: string;
  /** How long there must have been no connected member. */
  afterMs: number;
}

/** What may be said of a pool by itself, by a rule, or by default. */
export interface Balancing {
  strategy: StrategyName;
  health: HealthCheckerName;
  /** By client id; they go before what members declare. */
  weights: Record<string, number>;
  ordering: "none" | "key";
  key: string;
  ackTimeoutMs: number;
  maxDeliveries: number;
  fallback: Fallback;
}

/** As read from configuration: what is not said may be present and undefined. */
type Said = { [K in keyof Balancing]?: Balancing[K] | undefined };

/** What the configuration says of a pool. */
export interface DeclaredPool extends Said {
  name: string;
  filters: string[];
  maxBacklogBytes: number;
  whenFull: WhenFull;
  retainWhenEmptyMs: number;
}

/** Holds for pools of which the name or the topics match; one of both is given. */
export interface Rule extends Said {
  /** Patterns of names, with `*` and `?`. */
  pools?: string[] | undefined;
  /** Filters: a pool belongs to them when they cover all that its own filter matches. */
  topics?: string[] | undefined;
}

/** What holds for pools that nobody declared. They never push back on a publisher. */
export interface UndeclaredPools {
  allow: boolean;
  maxBacklogBytes: number;
  removeAfterMs: number;
  strategy: StrategyName;
  health: HealthCheckerName;
  ackTimeoutMs: number;
  maxDeliveries: number;
}

/** What is said of a declared pool beside its policy when it says nothing itself. */
const declaredDefaults = { ackTimeoutMs: 30_000, maxDeliveries: 5 } as const;
const defaultBalancing = {
  strategy: "performance_based",
  health: "advanced",
  weights: {},
  ordering: "none",
  key: "topic",
  ...declaredDefaults,
} as const;

/**
 * The policy of a pool.
 * @param filter an undeclared pool's first one
 */
export function resolvePolicy(
  name: string,
  filter: string | undefined,
  said: { declared: readonly DeclaredPool[]; rules: readonly Rule[]; undeclared: UndeclaredPools },
  random: () => number,
): PoolPolicy {
  const declared = said.declared.find((pool) => pool.name === name);
  const filters = declared?.filters ?? (filter === undefined ? [] : [filter]);
  const rule = said.rules.find((candidate) => applies(candidate, name, filters));
  const { undeclared } = said;
  const base: Omit<Balancing, "fallback"> =
    declared === undefined ? { ...defaultBalancing, ...balancingOf(undeclared) } : { ...defaultBalancing };
  const { strategy, health, fallback, ...rest }: Omit<Balancing, "fallback"> & { fallback?: Fallback } = {
    ...base,
    ...withoutUndefined(rule ?? {}),
    ...withoutUndefined(declared ?? {}),
  };
  const { weights, ordering, key, ackTimeoutMs, maxDeliveries } = rest;
  return {
    name,
    declared: declared !== undefined,
    strategy: createStrategy(strategy, random),
    health: createHealthChecker(health),
    weights,
    // Affinity is about keys.
    ordering: strategy === "key_affinity" ? "key" : ordering,
    key,
    ackTimeoutMs,
    maxDeliveries,
    fallback,
    maxBacklogBytes: declared?.maxBacklogBytes ?? undeclared.maxBacklogBytes,
    whenFull: declared?.whenFull ?? "dropOldest",
    retainWhenEmptyMs: declared?.retainWhenEmptyMs ?? 0,
  };
}

function balancingOf({ strategy, health, ackTimeoutMs, maxDeliveries }: UndeclaredPools) {
  return { strategy, health, ackTimeoutMs, maxDeliveries };
}

function applies({ pools, topics }: Rule, name: string, filters: readonly string[]): boolean {
  if (pools?.some((pattern) => matchesGlob(name, pattern)) === true) return true;
  const covered = (filter: string) => topics?.some((topic) => covers(topic, filter)) === true;
  return filters.length > 0 && filters.every(covered);
}

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const said = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(said) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** What is said of a client by name; one may be called `constructor`. */
export function saidOf<V>(
  said: Readonly<Record<string, V>> = {},
  { clientId }: { clientId: string },
): V | undefined {
  return Object.hasOwn(said, clientId) ? said[clientId] : undefined;
}
