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
          else pool.onNotBuried(delivery);
          // What the key or the credit held up may go now.
          pool.onFreed();
        });
      },
      wallMs: () => options.clock.wallMs(),
      monotonicMs: () => options.clock.monotonicMs(),
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
    const { clientId } = receiver;
    events.emit({ event: "pool.joined", pool: name, filter, clientId, members: pool.memberCount });
  }

  leave(receiver: Receiver, name: string, filter: string): void {
    const pool = this.#pools.get(name);
    if (pool === undefined) return;
    pool.leave(receiver, filter);
    const { clientId } = receiver;
    this.#options.events.emit({ event: "pool.left", pool: name, clientId, members: pool.memberCount });
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

  /**
   * Removes filters, and with the last of them the pool, that nobody has taken from for long enough; those that the
   * configuration names are emptied instead.
   */
  removeAbandoned(): void {
    const { clock, undeclared } = this.#options;
    const now = clock.monotonicMs();
    for (const pool of [...this.#pools.values()]) {
      const { retainWhenEmptyMs } = pool.policy;
      const keepMs = (filter: string) =>
        this.#isDeclared(pool.name, filter) ? retainWhenEmptyMs : undeclared.removeAfterMs;
      for (const filter of pool.abandoned((name) => now - keepMs(name))) {
        if (this.#isDeclared(pool.name, filter)) pool.empty(filter);
        else this.#dropFilter(pool, filter);
      }
    }
  }

  #isDeclared(name: string, filter: string): boolean {
    return this.#options.declared.some((pool) => pool.name === name && pool.filters.includes(filter));
  }

  /** Ends a filter of a pool; a pool that nobody declared goes with its last one. */
  #dropFilter(pool: Pool, filter: string): number {
    const backlog = pool.backlogOf(filter);
    const entry = backlog === undefined ? undefined : this.#targets.get(backlog);
    if (backlog !== undefined && entry !== undefined) {
      this.#options.router.remove(entry.filter, entry.target);
      this.#targets.delete(backlog);
    }
    const waiting = pool.drop(filter);
    if (pool.policy.declared || pool.filterCount > 0) return waiting;
    this.#woken.delete(pool);
    this.#pools.delete(pool.name);
    this.#options.events.emit({ event: "pool.removed", pool: pool.name, backlog: waiting });
    return waiting;
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
    for (const filter of [...pool.filters]) {
      if (this.#isDeclared(name, filter)) pool.empty(filter);
      else this.#dropFilter(pool, filter);
    }
    return undefined;
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
    // A filter that the configuration does not name never holds a publisher back, in no pool.
    const declared = this.#isDeclared(pool.name, filter);
    const { undeclared } = this.#options;
    const { whenFull } = pool.policy;
    const backlog: Backlog = new Backlog({
      limits: {
        maxBytes: declared ? pool.policy.maxBacklogBytes : undeclared.maxBacklogBytes,
        maxHotBytes,
        refusesWhenFull: declared && whenFull === "reject",
        dropsWhenFull: !declared || whenFull === "dropOldest",
      },
      journal,
      queue,
      onReady: () => pool.onReady(backlog),
      onReadFailed,
      ...(declared && whenFull === "backpressure" ? { onPressed } : {}),
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
