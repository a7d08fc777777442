/** All pools: declared ones from the start, others with their first member; who joins which, and when they go. */
import type { BrokerHeartbeat, Clock } from "@equipoise/shared";
import type { Events } from "../events.ts";
import type { Journal, RecoveredQueue } from "../journal/journal.ts";
import { type Router, Target } from "../router/router.ts";
import { createStrategy, type StrategyName } from "../strategy/index.ts";
import type { Turn } from "../turn.ts";
import { Backlog } from "./backlog.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Receiver } from "./member.ts";
import { Pool, type PoolPolicy, type PoolSurroundings } from "./pool.ts";

/** What the configuration says of a pool. */
export interface DeclaredPool extends Omit<PoolPolicy, "strategy" | "declared"> {
  filters: string[];
  strategy: StrategyName;
}

/** What holds for pools that nobody declared. They never push back on a publisher. */
export interface UndeclaredPools {
  allow: boolean;
  maxBacklogBytes: number;
  removeAfterMs: number;
  strategy: StrategyName;
  ackTimeoutMs: number;
  maxDeliveries: number;
}

export interface PoolsOptions {
  declared: readonly DeclaredPool[];
  undeclared: UndeclaredPools;
  maxHotBytes: number;
  maxPools: number;
  dead: DeadLetters;
  router: Router;
  journal: Journal;
  turn: Turn;
  events: Events;
  clock: Clock;
  random: () => number;
  onReadFailed: (error: Error) => void;
}

export class Pools {
  readonly #options: PoolsOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #targets = new Map<Backlog, { filter: string; target: Target }>();
  readonly #woken = new Set<Pool>();
  /** Since when pools have had no member, by the monotonic clock. */
  readonly #emptySinceMs = new Map<Pool, number>();
  readonly #surroundings: PoolSurroundings;

  constructor(options: PoolsOptions) {
    this.#options = options;
    const { events, turn } = options;
    this.#surroundings = {
      wake: (pool) => {
        this.#woken.add(pool);
        turn.request();
      },
      openBacklog: (pool, filter) =>
        this.#openBacklog(pool, filter, options.journal.openQueue(pool.name, filter)),
      onDropped: (pool, messages) => events.emit({ event: "pool.dropped", pool: pool.name, messages }),
      onFailed: (pool, { clientId }, { topic, attempts, failures }) => {
        const reason = failures?.reason ?? "";
        events.emit({ event: "delivery.failed", pool: pool.name, clientId, topic, attempts, reason });
      },
      bury: (pool, filter, delivery) => {
        options.dead.bury(pool.name, filter, delivery, (error) => {
          if (error === undefined) pool.onAcknowledged(delivery);
          else pool.onReturned(delivery);
        });
      },
      wallMs: () => options.clock.wallMs(),
    };
    turn.addStep(() => this.#drain());
  }

  /** Brings back what the journal has kept, then makes sure of everything declared. */
  start(recovered: readonly RecoveredQueue[]): void {
    for (const { id, pool: name, filter, slices } of this.#options.dead.recover(recovered)) {
      const pool = this.#pools.get(name) ?? this.#create(name);
      const backlog = this.#openBacklog(pool, filter, id);
      pool.adopt(filter, backlog);
      for (const slice of slices) backlog.push(slice);
    }
    for (const { name, filters } of this.#options.declared) {
      const pool = this.#pools.get(name) ?? this.#create(name);
      for (const filter of filters) {
        if (!pool.hasFilter(filter)) pool.adopt(filter, this.#surroundings.openBacklog(pool, filter));
      }
    }
    for (const pool of this.#pools.values()) {
      const { name: poolName, waiting: backlog } = pool;
      const { declared } = pool.policy;
      this.#options.events.emit({ event: "pool.created", pool: poolName, declared, backlog });
      this.#noteEmpty(pool);
    }
  }

  /** Why a receiver may not join, or `undefined`. */
  refusal(name: string): string | undefined {
    if (this.#pools.has(name)) return undefined;
    if (!this.#options.undeclared.allow) return "only declared pools are allowed";
    if (this.#pools.size >= this.#options.maxPools)
      return `there are ${this.#options.maxPools} pools already`;
    return undefined;
  }

  join(receiver: Receiver, name: string, filter: string, qos: number): void {
    const { events } = this.#options;
    let pool = this.#pools.get(name);
    if (pool === undefined) {
      pool = this.#create(name);
      events.emit({ event: "pool.created", pool: name, declared: false, backlog: 0 });
    }
    pool.join(receiver, filter, qos);
    this.#emptySinceMs.delete(pool);
    const { clientId } = receiver;
    events.emit({ event: "pool.joined", pool: name, filter, clientId, members: pool.memberCount });
  }

  leave(receiver: Receiver, name: string, filter: string): void {
    const pool = this.#pools.get(name);
    if (pool === undefined) return;
    pool.leave(receiver, filter);
    const { clientId } = receiver;
    this.#options.events.emit({ event: "pool.left", pool: name, clientId, members: pool.memberCount });
    this.#noteEmpty(pool);
  }

  all(): Iterable<Pool> {
    return this.#pools.values();
  }

  get(name: string): Pool | undefined {
    return this.#pools.get(name);
  }

  /** The pools that a receiver is in. */
  *of(receiver: Receiver): Iterable<Pool> {
    for (const pool of this.#pools.values()) if (pool.member(receiver) !== undefined) yield pool;
  }

  /** Messages may have become deliverable to this receiver. */
  wake(receiver: Receiver): void {
    for (const pool of this.of(receiver)) pool.onFreed();
  }

  report(): BrokerHeartbeat["pools"] {
    return Array.from(this.#pools.values(), (pool) => pool.report());
  }

  /** Removes undeclared pools, and empties declared ones, that have had no member for long enough. */
  removeAbandoned(): void {
    const { clock, undeclared, events } = this.#options;
    const now = clock.monotonicMs();
    for (const [pool, since] of this.#emptySinceMs) {
      const { declared, retainWhenEmptyMs } = pool.policy;
      if (now - since < (declared ? retainWhenEmptyMs : undeclared.removeAfterMs)) continue;
      if (declared) {
        pool.clear();
        this.#emptySinceMs.set(pool, now);
        continue;
      }
      const backlog = pool.waiting;
      this.#remove(pool);
      events.emit({ event: "pool.removed", pool: pool.name, backlog });
    }
  }

  /** Takes back what members have held for longer than their pool allows. */
  expire(nowMs: number): void {
    for (const pool of this.#pools.values()) pool.expire(nowMs);
  }

  /**
   * Removes a pool without members, its backlog and its dead letters; a declared one stays, empty.
   * @returns why not, or undefined
   */
  delete(name: string): string | undefined {
    const pool = this.#pools.get(name);
    if (pool === undefined) return `there is no pool ${name}`;
    if (pool.memberCount > 0) return `pool ${name} has ${pool.memberCount} members`;
    this.#options.dead.purge(name);
    const backlog = pool.waiting;
    if (pool.policy.declared) pool.clear();
    else this.#remove(pool);
    this.#options.events.emit({ event: "pool.removed", pool: name, backlog });
    return undefined;
  }

  #remove(pool: Pool): void {
    for (const backlog of pool.backlogs) {
      const entry = this.#targets.get(backlog);
      if (entry !== undefined) this.#options.router.remove(entry.filter, entry.target);
      this.#targets.delete(backlog);
    }
    pool.close();
    this.#emptySinceMs.delete(pool);
    this.#woken.delete(pool);
    this.#pools.delete(pool.name);
  }

  #noteEmpty(pool: Pool): void {
    if (pool.memberCount > 0) return;
    this.#emptySinceMs.set(pool, this.#options.clock.monotonicMs());
  }

  #create(name: string): Pool {
    const { declared, undeclared, random } = this.#options;
    const found = declared.find((pool) => pool.name === name);
    const { ackTimeoutMs, maxDeliveries, maxBacklogBytes } = undeclared;
    const bounds = { ackTimeoutMs, maxDeliveries, maxBacklogBytes };
    const policy: PoolPolicy = {
      ...(found ?? {
        name,
        ordering: "none",
        key: "topic",
        whenFull: "dropOldest",
        retainWhenEmptyMs: 0,
        ...bounds,
      }),
      declared: found !== undefined,
      strategy: createStrategy(found?.strategy ?? undeclared.strategy, random),
    };
    const pool = new Pool(policy, this.#surroundings);
    this.#pools.set(name, pool);
    return pool;
  }

  #openBacklog(pool: Pool, filter: string, queue: number): Backlog {
    const { journal, maxHotBytes, onReadFailed, events } = this.#options;
    const onPressed = (pressed: boolean): void => {
      const event = pressed ? "pool.pressed" : "pool.relieved";
      events.emit({ event, pool: pool.name, backlogBytes: backlog.byteLength });
    };
    const backlog: Backlog = new Backlog({
      limits: {
        maxBytes: pool.policy.maxBacklogBytes,
        maxHotBytes,
        refusesWhenFull: pool.policy.whenFull === "reject",
      },
      journal,
      queue,
      onReady: () => pool.onReady(backlog),
      onReadFailed,
      ...(pool.policy.whenFull === "backpressure" ? { onPressed } : {}),
    });
    const target = new Target(backlog, 2);
    this.#targets.set(backlog, { filter, target });
    this.#options.router.add(filter, target);
    return backlog;
  }

  #drain(): void {
    // A pool that wakes while it drains, or wakes another, has its turn in the next one.
    const woken = [...this.#woken];
    this.#woken.clear();
    for (const pool of woken) pool.drain();
  }
}
