/** The cluster's queues: what each broker has is made known to all, and what has had no member anywhere goes. */
import { EquipoiseError } from "@equipoise/shared";
import type { QueueId } from "../journal/journal.ts";
import type { DeclaredPool } from "../pool/policy.ts";
import type { Engine, Reply } from "./engine.ts";
import { type Keys, parseQueueName } from "./keys.ts";
import type { SharedQueue } from "./queue.ts";
import { type QueueRecord, readQueueRecord } from "./queue-record.ts";

/** A queue as the engine tells of it: its layout is present while it is in force. */
type Known = [name: Buffer, record: Buffer, layout: Buffer | null];

/** How the registry reaches the broker's pools. */
export interface PoolBook {
  /** Another broker has this filter of a pool. */
  meet(pool: string, filter: string, declared: DeclaredPool | undefined): void;
  /** The filter has ended on all brokers. */
  forget(pool: string, filter: string): void;
  declaration(pool: string, filter: string): DeclaredPool | undefined;
  /** How long a filter stays without members, and what happens then. */
  retention(pool: string, filter: string): { afterMs: number; atEnd: "remove" | "empty" };
}

export interface RegistryOptions {
  engine: Engine;
  keys: Keys;
  book: () => PoolBook;
  onOpened: (queue: SharedQueue) => void;
  /** The cluster orders the queue otherwise than this broker. */
  onForeign: (queue: SharedQueue) => void;
  onFailed: (error: EquipoiseError) => void;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #queues = new Map<QueueId, SharedQueue>();
  readonly #byName = new Map<string, SharedQueue>();
  /** Queues that have members on any broker. */
  readonly #taken = new Set<SharedQueue>();
  /** By name, how queues are divided that the cluster has. */
  readonly #layouts = new Map<string, string>();
  #version = -1;
  #syncing = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  add(queue: SharedQueue): void {
    this.#queues.set(queue.id, queue);
    this.#byName.set(queue.name, queue);
  }

  get(id: QueueId): SharedQueue | undefined {
    return this.#queues.get(id);
  }

  named(name: string): SharedQueue | undefined {
    return this.#byName.get(name);
  }

  all(): Iterable<SharedQueue> {
    return this.#queues.values();
  }

  /** Some broker has members for the pool. */
  taken(pool: string): boolean {
    for (const queue of this.#taken) if (queue.pool === pool) return true;
    return false;
  }

  /** Hears how the cluster's queues are divided. @throws EquipoiseError EQ_ENGINE_AWAY */
  async learnLayouts(): Promise<void> {
    const { engine, keys } = this.#options;
    for (const [name, , layout] of (await engine.run("registry", [keys.prefix], [])) as Known[])
      this.#noteLayout(String(name), layout);
  }

  /** How the cluster divides the queues of a pool; `undefined` when it has none of them. */
  layoutOf(pool: string): string | undefined {
    for (const [name, layout] of this.#layouts) if (parseQueueName(name).pool === pool) return layout;
    return undefined;
  }

  /** Makes the queue known to all brokers, once the engine is here. */
  async open(queue: SharedQueue): Promise<void> {
    const { engine, keys, book, onOpened } = this.#options;
    if (!engine.here) return;
    const declared = book().declaration(queue.pool, queue.filter) ?? null;
    const { layout, terms } = queue;
    const record: QueueRecord = { declared, dropAtBytes: terms.dropAtBytes ?? null };
    const args = [queue.name, JSON.stringify(record), declared === null ? "0" : "1", layout];
    await this.#attempt(async () => {
      if ((await engine.run("open", [keys.prefix], args)) === 0) return this.#refuse(queue);
      queue.opened = true;
      queue.foreign = false;
      onOpened(queue);
    });
  }

  /** It is asked for again and again; said once. */
  #refuse(queue: SharedQueue): void {
    queue.opened = false;
    if (!queue.foreign) this.#options.onForeign(queue);
    queue.foreign = true;
  }

  /** Ends a queue at once, on all brokers; a session's has ended in the engine together with the session. */
  async close(queue: SharedQueue): Promise<void> {
    this.#queues.delete(queue.id);
    if (this.#byName.get(queue.name) === queue) this.#byName.delete(queue.name);
    this.#taken.delete(queue);
    if (queue.pool === "") return;
    await this.#tend([queue.name, "remove", 0], () => {});
  }

  async empty(queue: SharedQueue): Promise<void> {
    await this.#tend([queue.name, "empty", 0], () => {});
  }

  /** Reads the registry if it has changed. */
  async sync(version: number): Promise<void> {
    if (version === this.#version || this.#syncing) return;
    this.#syncing = true;
    // What is opened while the answer is on its way is not in it.
    const opened = [...this.#queues.values()].filter(({ opened }) => opened);
    await this.#attempt(async () => {
      const { engine, keys } = this.#options;
      this.#apply((await engine.run("registry", [keys.prefix], [])) as Known[], opened);
      this.#version = version;
    });
    this.#syncing = false;
  }

  #apply(known: readonly Known[], opened: readonly SharedQueue[]): void {
    const book = this.#options.book();
    const names = new Set<string>();
    for (const [queueName, record, layout] of known) {
      const name = String(queueName);
      names.add(name);
      const said = readQueueRecord(String(record));
      if (said === undefined) continue;
      const { declared, dropAtBytes } = said;
      const { pool, filter } = parseQueueName(name);
      this.#noteLayout(name, layout);
      if (!this.#byName.has(name) && pool !== "") book.meet(pool, filter, declared ?? undefined);
      const queue = this.#byName.get(name);
      if (queue === undefined) continue;
      queue.terms = { dropAtBytes: dropAtBytes ?? undefined };
      // Opened again, and refused as long as it is so.
      if (layout !== null && queue.layout !== String(layout)) queue.opened = false;
    }
    for (const name of this.#layouts.keys()) if (!names.has(name)) this.#layouts.delete(name);
    for (const queue of opened) {
      if (names.has(queue.name) || this.#byName.get(queue.name) !== queue) continue;
      // The end of a session is told by itself.
      if (queue.pool === "") continue;
      // Somebody joined here while it ended, or the engine has lost it.
      if (queue.fed?.taken === true || book.declaration(queue.pool, queue.filter) !== undefined)
        void this.open(queue);
      else book.forget(queue.pool, queue.filter);
    }
  }

  #noteLayout(name: string, layout: Buffer | null): void {
    if (layout === null) this.#layouts.delete(name);
    else this.#layouts.set(name, String(layout));
  }

  /** Tells which queues have members here, hears which have some elsewhere, and ends those that had none for long. */
  async tend(): Promise<void> {
    // Sessions' queues end with their sessions.
    const queues = [...this.#queues.values()].filter(({ opened, pool }) => opened && pool !== "");
    const args = queues.flatMap((queue) => {
      if (queue.fed?.taken === true) return [queue.name, "taken", 0];
      const { afterMs, atEnd } = this.#options.book().retention(queue.pool, queue.filter);
      // At once would be before a broker that has members has told it.
      return [queue.name, atEnd, Math.max(1, Math.ceil(afterMs / 1_000))];
    });
    await this.#tend(args, (reply) => {
      for (const [at, [bytes, messages, taken]] of (reply as [number, number, number][]).entries()) {
        const queue = queues[at] as SharedQueue;
        queue.noteTotals(bytes, messages);
        if (taken === 1 && this.#queues.has(queue.id)) this.#taken.add(queue);
        else this.#taken.delete(queue);
      }
    });
  }

  async #tend(args: (string | number)[], done: (reply: Reply[]) => void): Promise<void> {
    const { engine, keys } = this.#options;
    if (!engine.here || args.length === 0) return;
    await this.#attempt(async () => done((await engine.run("tend", [keys.prefix], args)) as Reply[]));
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      if (error.code !== "EQ_ENGINE_AWAY") this.#options.onFailed(error);
    }
  }
}
