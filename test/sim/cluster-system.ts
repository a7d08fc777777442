/**
 * Brokers with a pool each and one queue for all of them, by the rules of broker/src/cluster (appender.ts, feeder.ts), in
 * virtual time: one append under way at each broker, questions by credit, and a watch where the queue was found empty,
 * which brings one entry to whoever has waited longest.
 */
import { Deque, type MemberHeartbeat } from "@equipoise/shared";
import { maxEntryMessages } from "../../broker/src/cluster/entry.ts";
import type { StrategyName } from "../../broker/src/strategy/index.ts";
import type { Connection } from "./member/connection.ts";
import { PoolSystem } from "./pool-system.ts";
import type { System, SystemSurroundings } from "./system/system.ts";
import type { Message } from "./world/message.ts";
import type { Timeline } from "./world/timeline.ts";

export interface ClusterRules {
  strategy: StrategyName;
  /** Of each member, the broker that it is at. */
  spread: readonly number[];
  /** Of each publisher, the broker that it is at; they take turns. */
  publishers: readonly number[];
  /** From a broker to the engine, and back. */
  oneWayMs: number;
  /** A broker takes what it has stored while members of its own have nothing to do. */
  atOnce: boolean;
}

/** Entries that no broker has, and who waits for some. */
class Queue {
  readonly #entries = new Deque<Message[]>();
  readonly #watching = new Deque<(entry: Message[]) => void>();

  /** @returns what the broker that has stored them takes at once */
  append(messages: readonly Message[], atOnce: number): Message[] {
    for (let at = 0; at < messages.length; at += maxEntryMessages)
      this.#entries.push(messages.slice(at, at + maxEntryMessages));
    const taken: Message[] = [];
    for (let next = this.#entries.at(0); next !== undefined; next = this.#entries.at(0)) {
      if (taken.length + next.length > atOnce) break;
      taken.push(...(this.#entries.shift() as Message[]));
    }
    this.#serve();
    return taken;
  }

  take(wanted: number): Message[] {
    const taken: Message[] = [];
    while (taken.length < wanted) {
      const entry = this.#entries.shift();
      if (entry === undefined) break;
      taken.push(...entry);
    }
    return taken;
  }

  watch(given: (entry: Message[]) => void): void {
    this.#watching.push(given);
    this.#serve();
  }

  #serve(): void {
    while (this.#entries.length > 0 && this.#watching.length > 0)
      this.#watching.shift()?.(this.#entries.shift() as Message[]);
  }
}

class SimulatedBroker {
  readonly pool: PoolSystem;
  readonly #queue: Queue;
  readonly #rules: ClusterRules;
  readonly #timeline: Timeline;
  readonly #gathered: Message[] = [];
  #appending = false;
  #reading = false;
  #watching = false;
  #empty = false;

  constructor(queue: Queue, rules: ClusterRules, surroundings: SystemSurroundings) {
    this.#queue = queue;
    this.#rules = rules;
    this.#timeline = surroundings.timeline;
    this.pool = new PoolSystem(rules.strategy, surroundings, () => this.#feed());
  }

  publish(message: Message): void {
    this.#gathered.push(message);
    if (!this.#appending) this.#append();
  }

  #append(): void {
    this.#appending = true;
    const messages = this.#gathered.splice(0);
    const atOnce = this.#rules.atOnce && !this.#reading ? Math.max(0, this.pool.atOnce) : 0;
    this.#ask(
      () => this.#queue.append(messages, atOnce),
      (taken) => {
        this.#appending = false;
        this.#give(taken);
        if (taken.length < messages.length && !this.#watching) this.#empty = false;
        this.#feed();
        if (this.#gathered.length > 0) this.#append();
      },
    );
  }

  #feed(): void {
    const { wanted } = this.pool;
    if (wanted === undefined || wanted <= 0 || this.#reading) return;
    if (!this.#empty) this.#read(wanted);
    else if (!this.#watching) this.#watch();
  }

  #read(wanted: number): void {
    this.#reading = true;
    this.#ask(
      () => this.#queue.take(wanted),
      (taken) => {
        this.#reading = false;
        this.#empty = taken.length < wanted;
        this.#give(taken);
        this.#feed();
      },
    );
  }

  #watch(): void {
    this.#watching = true;
    const { oneWayMs } = this.#rules;
    const given = (entry: Message[]): void =>
      this.#timeline.after(oneWayMs, () => {
        this.#watching = false;
        this.#empty = false;
        this.#give(entry);
        this.#feed();
      });
    this.#timeline.after(oneWayMs, () => this.#queue.watch(given));
  }

  #give(messages: readonly Message[]): void {
    for (const message of messages) this.pool.offer(message);
  }

  #ask<T>(atEngine: () => T, answered: (answer: T) => void): void {
    const { oneWayMs } = this.#rules;
    this.#timeline.after(oneWayMs, () => {
      const answer = atEngine();
      this.#timeline.after(oneWayMs, () => answered(answer));
    });
  }
}

/** How often it is looked for messages that wait at one broker while a member of another has nothing to do. */
const lookMs = 0.25;

export class ClusterSystem implements System {
  readonly #brokers: readonly SimulatedBroker[];
  readonly #rules: ClusterRules;
  readonly #timeline: Timeline;
  #turn = 0;
  #sinceMs: number | undefined;
  /** Most messages that waited so, and the longest time that any did. */
  worst = { messages: 0, ms: 0 };

  constructor(rules: ClusterRules, surroundings: SystemSurroundings) {
    const queue = new Queue();
    const count = Math.max(...rules.spread, ...rules.publishers) + 1;
    this.#rules = rules;
    this.#timeline = surroundings.timeline;
    this.#brokers = Array.from({ length: count }, () => new SimulatedBroker(queue, rules, surroundings));
    this.#look();
  }

  get flaps(): number {
    return this.#brokers.reduce((sum, { pool }) => sum + pool.flaps, 0);
  }

  joined(connection: Connection): void {
    this.#poolOf(connection).joined(connection);
  }

  left(connection: Connection, failed: boolean): void {
    this.#poolOf(connection).left(connection, failed);
  }

  heard(connection: Connection, heartbeat: MemberHeartbeat): void {
    this.#poolOf(connection).heard(connection, heartbeat);
  }

  offer(message: Message): void {
    const { publishers } = this.#rules;
    this.#at(publishers[this.#turn++ % publishers.length]).publish(message);
  }

  #poolOf({ member }: Connection): PoolSystem {
    return this.#at(this.#rules.spread[Number(member.name.split("-")[1])]).pool;
  }

  #at(index = 0): SimulatedBroker {
    return this.#brokers[index] as SimulatedBroker;
  }

  #look(): void {
    const { nowMs } = this.#timeline;
    const waits = this.#brokers.map(({ pool }, at) =>
      this.#brokers.some((other, place) => place !== at && other.pool.idle) ? pool.waiting : 0,
    );
    const most = Math.max(...waits);
    this.#sinceMs = most === 0 ? undefined : (this.#sinceMs ?? nowMs);
    const { messages, ms } = this.worst;
    this.worst = {
      messages: Math.max(messages, most),
      ms: Math.max(ms, nowMs - (this.#sinceMs ?? nowMs)),
    };
    this.#timeline.after(lookMs, () => this.#look());
  }
}
