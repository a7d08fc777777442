/**
 * Messages for plain subscribers on other brokers whose sessions end with their connections. Each broker says which
 * filters such subscribers of its own have; what matches is sent to it on its channel, as part of the batch that stores
 * the message for others. Who does not listen just then does not get it: those sessions are promised no more.
 */
import type { Clock, EquipoiseError } from "@equipoise/shared";
import type { QueueId } from "../journal/journal.ts";
import { type Destination, type Router, Target } from "../router/router.ts";
import type { Recipient } from "./appender.ts";
import type { Engine } from "./engine.ts";
import type { Keys } from "./keys.ts";

/** Changes of interest are told together. */
const tellDelayMs = 5;
const retryMs = 1_000;
/** Filters told at once. */
const maxTold = 10_000;

export interface RelaysOptions {
  engine: Engine;
  keys: Keys;
  clock: Clock;
  router: () => Router;
  consumer: string;
  nextQueueId: () => QueueId;
  onFailed: (error: EquipoiseError | unknown) => void;
}

/** Another broker, as the end of a route. */
class Link implements Destination, Recipient {
  readonly queue: QueueId;
  readonly fed = true;
  readonly pressed = false;
  readonly refuses = false;
  readonly name: string;
  readonly stream: string;
  /** It has none; Redis wants to see a name that this user has a right to. */
  readonly state: string;
  readonly terms = "channel";
  readonly target = new Target(this, 2);
  filters: ReadonlySet<string> = new Set();

  constructor(queue: QueueId, consumer: string, keys: Keys) {
    this.queue = queue;
    this.name = consumer;
    this.stream = keys.link(consumer);
    this.state = this.stream;
  }

  push(): void {
    throw new Error("what goes to another broker goes through the engine");
  }

  whenRelieved(): () => void {
    throw new Error("another broker never holds a publisher back");
  }

  noteTotals(): void {}
}

export class Relays {
  readonly #options: RelaysOptions;
  readonly #links = new Map<string, Link>();
  readonly #byQueue = new Map<QueueId, Link>();
  /** Own interest: how many subscriptions there are of each filter. */
  readonly #wanted = new Map<string, number>();
  /** Filters that are wanted or not wanted any more since it was told. */
  readonly #changed = new Set<string>();
  /** What the engine has of this broker may be anything. */
  #anew = true;
  #cancelTell: (() => void) | undefined;
  /** Brokers that are being heard, and whether they have said something else meanwhile. */
  readonly #hearing = new Map<string, boolean>();

  constructor(options: RelaysOptions) {
    this.#options = options;
  }

  get(queue: QueueId): Recipient | undefined {
    return this.#byQueue.get(queue);
  }

  want(filter: string): void {
    const count = this.#wanted.get(filter) ?? 0;
    this.#wanted.set(filter, count + 1);
    if (count === 0) this.#change(filter);
  }

  wantNoMore(filter: string): void {
    const count = this.#wanted.get(filter) ?? 0;
    if (count > 1) return void this.#wanted.set(filter, count - 1);
    this.#wanted.delete(filter);
    this.#change(filter);
  }

  #change(filter: string): void {
    this.#changed.add(filter);
    this.#tellIn(tellDelayMs);
  }

  #tellIn(delayMs: number): void {
    this.#cancelTell ??= this.#options.clock.after(delayMs, () => void this.#tell());
  }

  /** Tells the others all that is wanted here. */
  async tell(): Promise<void> {
    this.#anew = true;
    await this.#tell();
  }

  async #tell(): Promise<void> {
    this.#cancelTell?.();
    this.#cancelTell = undefined;
    const { engine, keys, consumer, onFailed } = this.#options;
    if (!engine.here) return;
    const told = [...(this.#anew ? this.#wanted.keys() : this.#changed)];
    let anew = this.#anew;
    this.#anew = false;
    this.#changed.clear();
    try {
      for (let at = 0; at < told.length || anew; at += maxTold) {
        const some = told.slice(at, at + maxTold);
        const added = some.filter((filter) => this.#wanted.has(filter));
        const removed = some.filter((filter) => !this.#wanted.has(filter));
        const args = [consumer, anew ? 1 : 0, added.length, ...added, ...removed];
        anew = false;
        await engine.run("want", [keys.interest(consumer), keys.news], args);
      }
    } catch (error) {
      this.#anew = true;
      this.#tellIn(retryMs);
      onFailed(error);
    }
  }

  /** Asks what all the others want. */
  async hearAll(): Promise<void> {
    const { engine, keys, onFailed } = this.#options;
    try {
      const brokers = (await engine.ask("SMEMBERS", keys.brokers)) as Buffer[];
      const names = new Set([...brokers.map(String), ...this.#links.keys()]);
      for (const consumer of names) await this.hear(consumer);
    } catch (error) {
      onFailed(error);
    }
  }

  /** Another broker wants something else than before. */
  async hear(consumer: string): Promise<void> {
    if (consumer === this.#options.consumer) return;
    if (this.#hearing.has(consumer)) return void this.#hearing.set(consumer, true);
    do {
      this.#hearing.set(consumer, false);
      await this.#hear(consumer);
    } while (this.#hearing.get(consumer) === true);
    this.#hearing.delete(consumer);
  }

  async #hear(consumer: string): Promise<void> {
    const { engine, keys, onFailed } = this.#options;
    if (!engine.here) return;
    try {
      const filters = (await engine.ask("SMEMBERS", keys.interest(consumer))) as Buffer[];
      this.#route(consumer, new Set(filters.map(String)));
    } catch (error) {
      onFailed(error);
    }
  }

  #route(consumer: string, filters: ReadonlySet<string>): void {
    const router = this.#options.router();
    const link = this.#links.get(consumer) ?? this.#link(consumer);
    for (const filter of link.filters) if (!filters.has(filter)) router.remove(filter, link.target);
    for (const filter of filters) if (!link.filters.has(filter)) router.add(filter, link.target);
    link.filters = filters;
    if (filters.size > 0) return;
    this.#links.delete(consumer);
    this.#byQueue.delete(link.queue);
  }

  #link(consumer: string): Link {
    const link = new Link(this.#options.nextQueueId(), consumer, this.#options.keys);
    this.#links.set(consumer, link);
    this.#byQueue.set(link.queue, link);
    return link;
  }
}
