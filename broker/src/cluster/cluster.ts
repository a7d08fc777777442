/**
 * Several brokers on one Redis: a message waits in the cluster's queue, not in a broker. A broker stores what is
 * published to it, takes from the queues what its own members have credit for, and settles what they acknowledge.
 */
import { randomBytes } from "node:crypto";
import { type Clock, EquipoiseError } from "@equipoise/shared";
import type { RedisOptions } from "ioredis";
import type { Events } from "../events.ts";
import type { Chunk } from "../journal/chunk.ts";
import type { QueueId } from "../journal/journal.ts";
import type { PoolPolicy } from "../pool/contract.ts";
import type { DeadLetterBook } from "../pool/dead-letters.ts";
import type { Fed } from "../pool/feed.ts";
import type { Neighbours, Owned } from "../session/neighbours.ts";
import type { Turn } from "../turn.ts";
import { Appender } from "./appender.ts";
import { Custody } from "./custody.ts";
import { ClusterDeadLetters } from "./dead-letters.ts";
import { Engine } from "./engine.ts";
import { decodeEntry } from "./entry.ts";
import { Feeder } from "./feeder.ts";
import { ClusterJournal } from "./journal.ts";
import { Keys, parseQueueName } from "./keys.ts";
import { Knowledge, type Participant } from "./knowledge.ts";
import { brokerOf, consumerOf, Liveness } from "./liveness.ts";
import { decodeRetained } from "./notes.ts";
import { ClusterOrder } from "./order/cluster-order.ts";
import type { SharedQueue } from "./queue.ts";
import { type PoolBook, Registry } from "./registry.ts";
import { Settler } from "./settler.ts";

const tendPeriodMs = 1_000;

export interface ClusterOptions extends Participant {
  address: RedisOptions;
  /** Replicas that must have a message before it is acknowledged. */
  minReplicas: number;
  /** Brokers of one name share everything. */
  name: string;
  brokerId: string;
  clock: Clock;
  turn: Turn;
  events: Events;
  /** The pools, which are made later than the cluster. */
  book: () => PoolBook;
  /** Messages of another broker for plain subscribers here. */
  onRelayed: (chunk: Chunk) => void;
  /** `degraded` is not what it was. */
  onStateChange: () => void;
}

export class Cluster implements Neighbours {
  readonly journal: ClusterJournal;
  readonly #options: ClusterOptions;
  readonly #keys: Keys;
  readonly #consumer: string;
  readonly #engine: Engine;
  readonly #registry: Registry;
  readonly #appender: Appender;
  readonly #settler: Settler;
  readonly #feeder: Feeder;
  readonly #order: ClusterOrder;
  readonly #liveness: Liveness;
  readonly #knowledge: Knowledge;
  readonly #custody: Custody;
  #dead: ClusterDeadLetters | undefined;
  #learned = false;
  #lastVersion = 0;
  #cancelTend: (() => void) | undefined;

  constructor(options: ClusterOptions) {
    const { name, brokerId, clock, book } = options;
    this.#options = options;
    this.#keys = new Keys(name);
    this.#consumer = consumerOf(brokerId, randomBytes(6).toString("hex"));
    this.#engine = this.#createEngine();
    const engine = this.#engine;
    const onFailed = (error: unknown): void => this.#noteFailure(error);
    const common = { engine, keys: this.#keys, consumer: this.#consumer, clock, onFailed };
    const onOpened = (queue: SharedQueue): void => this.#feeder.ask(queue);
    const { events } = options;
    this.#registry = new Registry({
      ...{ ...common, book, onOpened },
      onForeign: ({ pool, filter }) => events.emit({ event: "pool.foreign", pool, filter }),
    });
    this.#settler = new Settler(common);
    this.#knowledge = new Knowledge({
      ...common,
      participant: options,
      nextQueueId: () => this.journal.nextQueueId(),
      replicated: () => this.#appender.replicated(),
    });
    this.#appender = this.#createAppender();
    this.journal = new ClusterJournal({
      ...common,
      ...{ registry: this.#registry, appender: this.#appender, settler: this.#settler },
      ...{ relays: this.#knowledge.relays, notes: this.#knowledge.notes },
      start: () => this.#start(),
      stop: () => this.#stop(),
    });
    this.#feeder = this.#createFeeder();
    this.#custody = new Custody({
      ...{ ...common, registry: this.#registry, settler: this.#settler, feeder: this.#feeder },
      learn: () => this.#knowledge.learn(),
    });
    this.#order = new ClusterOrder({
      ...{ ...common, events, registry: this.#registry, settler: this.#settler },
      nextChunkId: () => this.journal.nextId(),
      ask: (queue) => this.#feeder.ask(queue),
    });
    this.#liveness = this.#createLiveness(onFailed);
  }

  #createEngine(): Engine {
    const { address, clock, events, onStateChange } = this.#options;
    const { news, retainedNews } = this.#keys;
    return new Engine({
      address,
      clock,
      channels: [news, retainedNews, this.#keys.link(this.#consumer), this.#calls],
      onHere: () => this.#onHere(),
      onAway: (reason) => {
        events.emit({ event: "engine.away", reason });
        onStateChange();
      },
      onMessage: (channel, message) => this.#onMessage(channel, message),
    });
  }

  /** Where this broker hears that something has come which it waits for. */
  get #calls(): string {
    return this.#keys.calls + this.#consumer;
  }

  #createAppender(): Appender {
    const { minReplicas, clock, events, onStateChange } = this.#options;
    return new Appender({
      ...{ engine: this.#engine, keys: this.#keys, consumer: this.#consumer, clock, minReplicas },
      onShort: onStateChange,
      onLost: (batches) => {
        const detail = `${batches} batches of messages that it had answered for are not there`;
        events.emit({ event: "engine.rolledBack", detail });
      },
      onDropped: ({ name }, messages) => this.#onDropped(name, messages),
      onStored: ({ name }) => {
        const queue = this.#registry.named(name);
        if (queue !== undefined) this.#feeder.stored(queue);
      },
      onTaken: ({ name }, entries) => {
        const queue = this.#registry.named(name);
        for (const entry of entries) if (queue !== undefined) this.#feeder.take(queue, entry);
      },
    });
  }

  #createFeeder(): Feeder {
    const { clock, turn, events } = this.#options;
    return new Feeder({
      ...{ engine: this.#engine, keys: this.#keys, consumer: this.#consumer, clock },
      nextChunkId: () => this.journal.nextId(),
      request: () => turn.request(),
      // Others may be about to end it.
      onJoined: (queue) => void this.#registry.open(queue),
      onAbandoned: (queue) => void this.#custody.giveBack(queue),
      onUnknown: ({ pool }) => events.emit({ event: "entry.unknown", pool }),
      onFailed: (queues, error) => this.#onFeedFailed(queues, error),
    });
  }

  #createLiveness(onFailed: (error: unknown) => void): Liveness {
    const { brokerId, clock } = this.#options;
    return new Liveness({
      ...{ engine: this.#engine, keys: this.#keys, consumer: this.#consumer, brokerId, clock },
      onTakenForDead: () => this.#onTakenForDead(),
      onDead: (dead) => this.#onDead(dead),
      onInherited: (consumer) => void this.#knowledge.wills.execute(consumer),
      onBeat: (version) => this.#onBeat(version),
      onFailed,
    });
  }

  /** The dead letters of all brokers. */
  deadLetters(options: {
    maxPerPool: number;
    publish: (topic: string, payload: Buffer) => void;
  }): DeadLetterBook {
    const { events } = this.#options;
    const dead = new ClusterDeadLetters({
      ...{ engine: this.#engine, keys: this.#keys, journal: this.journal, events },
      holdingOf: (queue, slice) => this.#registry.get(queue)?.holdingOf(slice),
      ...options,
    });
    this.#dead = dead;
    return dead;
  }

  /** The engine is away: nothing is acknowledged to publishers. */
  get degraded(): boolean {
    return !this.#engine.here || this.#appender.short;
  }

  /** Adds the cluster's part of a turn behind those that find out what is wanted. */
  join(): void {
    this.#options.turn.addStep(() => this.#feeder.step());
  }

  /** Some broker has members for the pool. */
  taken(pool: string): boolean {
    return this.#registry.taken(pool);
  }

  attach(id: QueueId, fed: Fed): void {
    const queue = this.#registry.get(id);
    if (queue === undefined) throw new Error(`queue ${id} was not opened`);
    queue.fed = fed;
    queue.terms = { dropAtBytes: fed.dropAtBytes };
    if (fed.key !== undefined) this.#order.attach(queue, fed.key);
    void this.#registry.open(queue);
  }

  ask(id: QueueId): void {
    const queue = this.#registry.get(id);
    if (queue !== undefined) this.#feeder.ask(queue);
  }

  empty(id: QueueId): void {
    const queue = this.#registry.get(id);
    if (queue !== undefined) void this.#registry.empty(queue);
  }

  want(filter: string): void {
    this.#knowledge.relays.want(filter);
  }

  wantNoMore(filter: string): void {
    this.#knowledge.relays.wantNoMore(filter);
  }

  own(clientId: string, clean: boolean): Promise<Owned> {
    return this.#knowledge.clients.own(clientId, clean);
  }

  confirm(clientId: string): void {
    void this.#knowledge.clients.confirm([clientId]);
  }

  disown(clientId: string, clean: boolean): void {
    this.#knowledge.clients.disown(clientId, clean);
  }

  /** A policy with what operators have said of its pool, on any broker, and ordered as the cluster's queues are. */
  tuned(policy: PoolPolicy): PoolPolicy {
    return this.#order.ordered(this.#knowledge.tunings.tuned(policy));
  }

  /** A pool was tuned here. */
  shareTuning(policy: PoolPolicy): void {
    void this.#knowledge.tunings.share(policy);
  }

  keepWill(clientId: string, frame: Buffer): void {
    this.#knowledge.wills.keep(clientId, frame);
  }

  forgetWill(clientId: string): void {
    this.#knowledge.wills.forget(clientId);
  }

  async #start() {
    await this.#engine.start();
    try {
      await this.#liveness.start();
    } catch (error) {
      await this.#engine.stop();
      throw error;
    }
    await this.#registry.learnLayouts();
    this.#cancelTend = this.#options.clock.every(tendPeriodMs, () => void this.#tend());
    await this.#knowledge.learn();
    return { queues: [], retained: [], sessions: [] };
  }

  async #tend(): Promise<void> {
    await this.#registry.tend();
    const pools = new Set(Array.from(this.#registry.all(), ({ pool }) => pool));
    await this.#dead?.refresh(pools).catch((error: unknown) => this.#noteFailure(error));
  }

  /** Says what is settled, and leaves the rest to the others. */
  async #stop(): Promise<void> {
    this.#cancelTend?.();
    this.#custody.stop();
    await this.#feeder.stop();
    await this.#settler.flush(true);
    await this.#liveness.stop();
    await this.#engine.stop();
  }

  /** In this order on one connection: queues exist before anything is stored in them. */
  #onHere(): void {
    this.#options.events.emit({ event: "engine.here" });
    this.#options.onStateChange();
    this.#custody.resume();
    void this.#knowledge.notes.send();
    this.#appender.resend();
    this.#knowledge.tell();
    if (this.#learned) this.#knowledge.learn().catch((error: unknown) => this.#noteFailure(error));
    // At the start it is not said that this broker lives before it is known that no other one has its id.
    if (this.#learned) void this.#liveness.beat();
    this.#learned = true;
    void this.#settler.flush(true);
  }

  #onMessage(channel: string, message: Buffer): void {
    if (channel === this.#keys.news) return this.#onNews(message.toString());
    if (channel === this.#keys.retainedNews) {
      const { topic, frame } = decodeRetained(message);
      return this.#knowledge.hearRetained(topic, frame);
    }
    if (channel === this.#calls) return this.#custody.called(message.toString());
    const entry = decodeEntry("", message, this.journal.nextId());
    if (entry !== undefined) this.#options.onRelayed(entry.slice.chunk);
  }

  #onNews(news: string): void {
    const space = news.indexOf(" ");
    const what = news.slice(0, space);
    const rest = news.slice(space + 1);
    this.#knowledge.hear(what, rest);
    if (what === "balance") return void this.#registry.named(rest)?.shards?.balance();
    if (what === "released") this.#custody.released(rest);
  }

  #onDropped(name: string, messages: number): void {
    const { pool, filter } = parseQueueName(name);
    const { events } = this.#options;
    if (pool === "") events.emit({ event: "session.dropped", clientId: filter, messages });
    else events.emit({ event: "pool.dropped", pool, messages });
  }

  giveUp(id: QueueId): void {
    this.#custody.giveUp(id);
  }

  #onBeat(version: number): void {
    if (version < this.#lastVersion) this.#onEmptied();
    this.#lastVersion = version;
    void this.#registry.sync(version);
    const pressed: SharedQueue[] = [];
    for (const queue of this.#registry.all()) {
      if (!queue.opened) void this.#registry.open(queue);
      void queue.shards?.balance();
      this.#feeder.ask(queue);
      if (queue.fed?.backlog.pressed === true) pressed.push(queue);
    }
    if (pressed.length > 0) void this.#settler.ask(pressed);
  }

  /** Queues that were there are not: somebody has emptied the engine. */
  #onEmptied(): void {
    const detail = "queues that were known are not there: what waited in them is lost";
    this.#options.events.emit({ event: "engine.rolledBack", detail });
    for (const queue of this.#registry.all()) void this.#registry.open(queue);
    this.#knowledge.clients.restore().catch((error: unknown) => this.#noteFailure(error));
    this.#knowledge.tell();
  }

  #onDead(dead: readonly string[]): void {
    for (const consumer of dead)
      this.#options.events.emit({ event: "broker.dead", broker: brokerOf(consumer) });
  }

  #onTakenForDead(): void {
    this.#options.events.emit({ event: "broker.takenForDead" });
    this.#knowledge.tell();
    this.#custody.loseAll();
  }

  #onFeedFailed(queues: Iterable<SharedQueue>, error: EquipoiseError): void {
    this.#noteFailure(error);
    for (const queue of queues) {
      // Opened again with the next beat.
      queue.opened = false;
    }
  }

  /** That the engine is away is said once. */
  #noteFailure(error: unknown): void {
    if (!(error instanceof EquipoiseError)) throw error;
    if (error.code === "EQ_ENGINE_AWAY") return;
    this.#options.events.emit({ event: "journal.failed", code: error.code, detail: error.message });
  }
}
