/** All pools: declared ones from the start, others with their first member; who joins which, and when they go. */
import type { BrokerHeartbeat, Clock } from "@equipoise/shared";
import type { Events } from "../events.ts";
import type { Journal, RecoveredQueue } from "../journal/journal.ts";
import { type Router, Target } from "../router/router.ts";
import type { Turn } from "../turn.ts";
import { Backlog } from "./backlog.ts";
import type { PoolPolicy, PoolSurroundings, Tuning } from "./contract.ts";
import type { DeadLetterBook } from "./dead-letters.ts";
import type { Feed } from "./feed.ts";
import type { Receiver } from "./member.ts";
import { type DeclaredPool, type Rule, resolvePolicy, type UndeclaredPools } from "./policy.ts";
import { Pool } from "./pool.ts";

export interface PoolsOptions {
  declared: readonly DeclaredPool[];
  rules: readonly Rule[];
  undeclared: UndeclaredPools;
  /** What is said of a pool besides, before all that the configuration says. */
  ruled?: (policy: PoolPolicy) => PoolPolicy;
  maxHotBytes: number;
  maxPools: number;
  dead: DeadLetterBook;
  /** Present where several brokers share the pools. */
  feed?: Feed | undefined;
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
  /** By this broker's configuration, and by other brokers'. */
  readonly #declared: DeclaredPool[];
  readonly #surroundings: PoolSurroundings;

  constructor(options: PoolsOptions) {
    this.#options = options;
    this.#declared = [...options.declared];
    const { events, turn } = options;
    this.#surroundings = {
      wake: (pool) => {
        this.#woken.add(pool);
        turn.request();
      },
      openBacklog: (pool, filter) =>
        this.#openBacklog(pool, filter, options.journal.openQueue(pool.name, filter)),
      onDropped: (pool, messages) => events.emit({ event: "pool.dropped", pool: pool.name, messages }),
      fed: options.feed !== undefined,
      onFailed: (pool, { clientId }, { backlog, slice, index, topic, attempts, failures }) => {
        const reason = failures?.reason ?? "";
        if (backlog.queue !== undefined && failures !== undefined)
          options.journal.attempted(backlog.queue, slice, index, { ...failures, attempts });
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
      onHealth: (pool, { clientId }, change) =>
        events.emit({ event: "member.health", pool: pool.name, clientId, ...change }),
      onPanic: (pool, panic) => events.emit({ event: "pool.panic", pool: pool.name, panic }),
      onCheckerFailed: (pool, reason) => {
        const checker = pool.policy.health.name;
        events.emit({ event: "health.failed", pool: pool.name, checker, reason });
      },
      onRescued: (pool, { clientId }, messages) =>
        events.emit({ event: "pool.rescued", pool: pool.name, clientId, messages }),
      random: options.random,
      wallMs: () => options.clock.wallMs(),
      monotonicMs: () => turn.nowMs,
    };
    turn.addStep(() => this.#drain());
  }

  /** Brings back what the journal has kept, then makes sure of everything declared. */
  start(recovered: readonly RecoveredQueue[]): void {
    for (const { id, pool: name, filter, slices } of this.#options.dead.recover(recovered)) {
      const pool = this.#pools.get(name) ?? this.#create(name, filter);
      const backlog = this.#openBacklog(pool, filter, id);
      pool.adopt(filter, backlog);
      for (const slice of slices) backlog.push(slice);
    }
    for (const { name, filters } of this.#declared) {
      const pool = this.#pools.get(name) ?? this.#create(name, undefined);
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
      pool = this.#create(name, filter);
      events.emit({ event: "pool.created", pool: name, declared: false, backlog: 0 });
    }
    this.#sendHome(pool);
    pool.join(receiver, filter, qos);
    const { clientId } = receiver;
    events.emit({ event: "pool.joined", pool: name, filter, clientId, members: pool.memberCount });
  }

  leave(receiver: Receiver, name: string, filter: string): void {
    const pool = this.#pools.get(name);
    if (pool === undefined) return;
    pool.leave(receiver, filter);
    if (pool.member(receiver) === undefined) this.#takeBack(receiver, pool);
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
        if (!this.#isDeclared(pool.name, filter)) this.#dropFilter(pool, filter);
        // What guests work on is kept.
        else if (!pool.members.some(({ guest }) => guest)) pool.empty(filter);
      }
    }
  }

  #empty(pool: Pool, filter: string): void {
    const queue = pool.backlogOf(filter)?.queue;
    if (queue !== undefined) this.#options.feed?.empty(queue);
    pool.empty(filter);
  }

  /** Another broker has this filter of a pool. @param declared how its pool is declared there */
  meet(name: string, filter: string, declared: DeclaredPool | undefined): void {
    if (declared !== undefined && !this.#declared.some((pool) => pool.name === name))
      this.#declared.push(declared);
    let pool = this.#pools.get(name);
    if (pool === undefined) {
      pool = this.#create(name, filter);
      const { declared: isDeclared } = pool.policy;
      this.#options.events.emit({ event: "pool.created", pool: name, declared: isDeclared, backlog: 0 });
    }
    if (!pool.hasFilter(filter)) pool.adopt(filter, this.#surroundings.openBacklog(pool, filter));
  }

  /** The filter has ended on all brokers. */
  forget(name: string, filter: string): void {
    const pool = this.#pools.get(name);
    if (pool?.hasFilter(filter) === true) this.#dropFilter(pool, filter);
  }

  /** How the pool of a declared filter is declared. */
  declaration(name: string, filter: string): DeclaredPool | undefined {
    return this.#declared.find((pool) => pool.name === name && pool.filters.includes(filter));
  }

  /** How long a filter stays without members, and what happens then. */
  retention(name: string, filter: string): { afterMs: number; atEnd: "remove" | "empty" } {
    const declared = this.declaration(name, filter);
    if (declared !== undefined) return { afterMs: declared.retainWhenEmptyMs, atEnd: "empty" };
    return { afterMs: this.#options.undeclared.removeAfterMs, atEnd: "remove" };
  }

  /** When the oldest messages of a filter are dropped. */
  #dropAtBytes(name: string, filter: string): number | undefined {
    const declared = this.declaration(name, filter);
    if (declared === undefined) return this.#options.undeclared.maxBacklogBytes;
    return declared.whenFull === "dropOldest" ? declared.maxBacklogBytes : undefined;
  }

  #isDeclared(name: string, filter: string): boolean {
    return this.declaration(name, filter) !== undefined;
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
  expire(): void {
    const { turn } = this.#options;
    turn.begin();
    for (const pool of this.#pools.values()) {
      this.#lend(pool, turn.nowMs);
      pool.expire(turn.nowMs);
    }
  }

  /** Changes how a pool balances until the broker starts again; returns whether there is such a pool. */
  tune(name: string, tuning: Tuning): boolean {
    const pool = this.#pools.get(name);
    if (pool === undefined) return false;
    pool.tune(tuning);
    const { strategy, health } = pool.policy;
    const names = { strategy: strategy.name, health: health.name };
    this.#options.events.emit({ event: "pool.tuned", pool: name, ...names });
    return true;
  }

  /** Brings a pool, where there is it, back to what is said of it now: its strategy, weights and operator's words. */
  rule(name: string): void {
    const pool = this.#pools.get(name);
    if (pool === undefined) return;
    const [filter] = pool.filters;
    const { strategy, weights, operatorHealth = {} } = this.#policyOf(name, filter);
    this.tune(name, { strategy, weights, operatorHealth });
  }

  /** Gives a pool that has had no member for long enough those of its fallback, as guests. */
  #lend(pool: Pool, nowMs: number): void {
    const { fallback } = pool.policy;
    const since = pool.memberlessSinceMs;
    if (fallback === undefined || since === undefined || nowMs - since < fallback.afterMs) return;
    if (this.#options.feed?.taken(pool.name) === true) return;
    const lender = fallback.pool === pool.name ? undefined : this.#pools.get(fallback.pool);
    if (lender === undefined) return;
    let lent = 0;
    for (const member of lender.members) {
      const { guest, resting, receiver } = member;
      if (guest || resting || pool.member(receiver) !== undefined) continue;
      const qos = Math.max(...member.subscriptions.values());
      for (const filter of pool.filters) pool.join(receiver, filter, qos, true);
      lent++;
    }
    if (lent === 0) return;
    this.#options.events.emit({ event: "pool.lent", pool: pool.name, fallback: lender.name, members: lent });
  }

  /** Its guests leave: it has a member of its own again. What they hold they finish. */
  #sendHome(pool: Pool): void {
    const guests = pool.members.filter(({ guest }) => guest);
    for (const { receiver } of guests) this.#leaveAll(pool, receiver);
    const fallback = pool.policy.fallback?.pool ?? "";
    if (guests.length > 0) this.#options.events.emit({ event: "pool.returned", pool: pool.name, fallback });
  }

  /** Who has left a pool is no guest of others for its sake. */
  #takeBack(receiver: Receiver, lender: Pool): void {
    for (const pool of this.#pools.values()) {
      if (pool.policy.fallback?.pool !== lender.name) continue;
      if (pool.member(receiver)?.guest === true) this.#leaveAll(pool, receiver);
    }
  }

  #leaveAll(pool: Pool, receiver: Receiver): void {
    for (const filter of [...pool.filters]) pool.leave(receiver, filter);
  }

  /**
   * Removes a pool without members, its backlog and its dead letters; a declared one stays, empty.
   * @returns why not, or undefined
   */
  delete(name: string): string | undefined {
    const pool = this.#pools.get(name);
    if (pool === undefined) return `there is no pool ${name}`;
    if (pool.memberCount > 0) return `pool ${name} has ${pool.memberCount} members`;
    if (this.#options.feed?.taken(name) === true) return `pool ${name} has members on another broker`;
    this.#options.dead.purge(name).catch(this.#options.onReadFailed);
    for (const filter of [...pool.filters]) {
      if (this.#isDeclared(name, filter)) this.#empty(pool, filter);
      else this.#dropFilter(pool, filter);
    }
    return undefined;
  }

  #create(name: string, filter: string | undefined): Pool {
    const pool = new Pool(this.#policyOf(name, filter), this.#surroundings);
    this.#pools.set(name, pool);
    return pool;
  }

  #policyOf(name: string, filter: string | undefined): PoolPolicy {
    const { rules, undeclared, random } = this.#options;
    const policy = resolvePolicy(name, filter, { declared: this.#declared, rules, undeclared }, random);
    return this.#options.ruled?.(policy) ?? policy;
  }

  #openBacklog(pool: Pool, filter: string, queue: number): Backlog {
    const { journal, maxHotBytes, onReadFailed, events, feed } = this.#options;
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
        // What is fed is little, and in memory.
        maxHotBytes: feed === undefined ? maxHotBytes : Number.POSITIVE_INFINITY,
        refusesWhenFull: declared && whenFull === "reject",
        dropsWhenFull: feed === undefined && (!declared || whenFull === "dropOldest"),
      },
      journal,
      queue,
      onReady: () => pool.onReady(backlog),
      onReadFailed,
      fed: feed !== undefined,
      ...(declared && whenFull === "backpressure" ? { onPressed } : {}),
    });
    const target = new Target(backlog, 2);
    this.#targets.set(backlog, { filter, target });
    this.#options.router.add(filter, target);
    feed?.attach(queue, {
      backlog,
      dropAtBytes: this.#dropAtBytes(pool.name, filter),
      get taken() {
        return pool.isTaken(backlog);
      },
      wanted: () => pool.wanted(backlog),
      atOnce: () => pool.atOnce(backlog),
      ordered: () => pool.ordered(backlog),
      key: pool.policy.ordering === "key" ? pool.policy.key : undefined,
    });
    return backlog;
  }

  #drain(): void {
    // A pool that wakes while it drains, or wakes another, has its turn in the next one.
    const woken = [...this.#woken];
    this.#woken.clear();
    for (const pool of woken) {
      pool.drain();
      if (this.#options.feed !== undefined) this.#ask(pool, this.#options.feed);
    }
  }

  #ask(pool: Pool, feed: Feed): void {
    for (const { queue } of pool.backlogs) if (queue !== undefined) feed.ask(queue);
  }
}
