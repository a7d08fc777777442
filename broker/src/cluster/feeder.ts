/**
 * Takes messages from the cluster's queues, for each of them only as many as this broker's members have credit for, so
 * that brokers balance by capacity without talking to each other. First what other brokers have released, which is
 * older; then what nobody has had.
 *
 * Brokers compete for what comes into a queue that was found empty: it is watched on a connection of its own, and the
 * engine gives to the one that has waited longest. That costs the engine time for each watched queue whenever the wait
 * begins anew. So a session's queue, for which only one broker waits and of which there may be thousands, is not
 * watched: the engine has a note of who found it empty, and calls.
 */
import { type Clock, EquipoiseError } from "@equipoise/shared";
import type { Engine, Reply } from "./engine.ts";
import { decodeEntry, type Taken } from "./entry.ts";
import type { Keys } from "./keys.ts";
import type { SharedQueue } from "./queue.ts";
import { group } from "./scripts/common.ts";

/** Most entries that one question asks for. */
const maxEntries = 64;
const watchMs = 2_000;
/** More than that is never asked for without an answer. */
const watchGraceMs = 200;
/** Entries that one question of the audit is about. */
const maxAudited = 1_000;
/** Pools' queues beyond so many are not watched: all brokers that wait for one of them are called. */
const maxWatched = 256;

export interface FeederOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  clock: Clock;
  nextChunkId: () => number;
  /** Has `step` called at the end of the turn. */
  request: () => void;
  /** The queue has its first members here. */
  onJoined: (queue: SharedQueue) => void;
  /** Members have left and messages wait here for nobody. */
  onAbandoned: (queue: SharedQueue) => void;
  /** An entry was written by a newer version. */
  onUnknown: (queue: SharedQueue) => void;
  /** The engine answers, and refuses: the queue is not asked for until it is open again. */
  onFailed: (queues: Iterable<SharedQueue>, error: EquipoiseError) => void;
}

export class Feeder {
  readonly #options: FeederOptions;
  readonly #asked = new Set<SharedQueue>();
  /** Empty queues that members wait for. */
  readonly #hungry = new Set<SharedQueue>();
  #watched: ReadonlySet<SharedQueue> | undefined;
  #waking = false;
  #stopped = false;

  constructor(options: FeederOptions) {
    this.#options = options;
  }

  /** The queue's need has changed, or it may have messages. */
  ask(queue: SharedQueue): void {
    this.#asked.add(queue);
    this.#options.request();
  }

  /** Messages were stored in the queue by this broker. */
  stored(queue: SharedQueue): void {
    // Who watches it is given them without asking, and who is noted in the engine is called.
    if (queue.shards !== undefined || queue.listed || this.#watched?.has(queue) === true) return;
    queue.empty = false;
    this.ask(queue);
  }

  /** Nothing is given to this broker from now on: what came to it after it has left would be nobody's. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#watched !== undefined && this.#options.engine.here)
      await this.#options.engine.wakeWatch().catch(() => {});
  }

  /** Once a turn: asks the engine for what is wanted. */
  step(): void {
    if (!this.#options.engine.here || this.#stopped) return;
    const asked = [...this.#asked];
    this.#asked.clear();
    for (const queue of asked) this.#feed(queue);
    if (this.#hungry.size > 0) this.#watch();
  }

  #feed(queue: SharedQueue): void {
    if (queue.shards !== undefined) return queue.shards.step();
    const wanted = queue.fed?.wanted();
    if (wanted !== undefined && !queue.joined) this.#options.onJoined(queue);
    queue.joined = wanted !== undefined;
    if (wanted === undefined) {
      this.#hungry.delete(queue);
      const { backlog } = queue.fed ?? {};
      if (backlog !== undefined && backlog.waiting > 0 && backlog.inFlight === 0)
        this.#options.onAbandoned(queue);
      return;
    }
    if (wanted <= 0 || !queue.opened) this.#hungry.delete(queue);
    else if (!queue.reading) this.#satisfy(queue, wanted);
  }

  #satisfy(queue: SharedQueue, wanted: number): void {
    if (queue.released || !queue.empty) void this.#read(queue, wanted);
    else if (queue.listed || this.#hungry.has(queue)) return;
    else if (this.#mayWatch(queue)) this.#hungry.add(queue);
    else void this.#read(queue, wanted);
  }

  #mayWatch({ pool }: SharedQueue): boolean {
    return pool !== "" && this.#hungry.size < maxWatched;
  }

  /**
   * Takes what the engine has given to this broker without an answer that arrived: its connection broke between the
   * two.
   */
  async audit(queue: SharedQueue): Promise<void> {
    const { engine, consumer, clock } = this.#options;
    if (queue.fed === undefined || !queue.opened || queue.shards !== undefined) return;
    const ids = await this.#pendingOf(queue);
    if (unknownOf(queue, ids).length === 0) return;
    // What the other connection is just bringing is not missing.
    await new Promise<void>((resolve) => clock.after(watchGraceMs, resolve));
    const missing = unknownOf(queue, ids);
    for (let at = 0; at < missing.length; at += maxAudited) {
      const args = [consumer, ...missing.slice(at, at + maxAudited)];
      const claimed = await this.#attempt(queue, () =>
        engine.run("claim", [queue.stream, queue.state], args),
      );
      for (const taken of (claimed ?? []) as Taken[]) this.take(queue, taken);
    }
  }

  /** Ids of the entries that this broker holds, as the engine knows it. */
  async #pendingOf(queue: SharedQueue): Promise<string[]> {
    const { engine, consumer } = this.#options;
    const ids: string[] = [];
    for (let from = "-"; ; from = `(${ids.at(-1)}`) {
      const page = (await this.#attempt(queue, () =>
        engine.ask("XPENDING", queue.stream, group, from, "+", maxAudited, consumer),
      )) as [Buffer][] | undefined;
      for (const [id] of page ?? []) ids.push(id.toString("latin1"));
      if (page === undefined || page.length < maxAudited) return ids;
    }
  }

  async #read(queue: SharedQueue, wanted: number): Promise<void> {
    const { engine, keys, consumer } = this.#options;
    const { released } = queue;
    this.#hungry.delete(queue);
    // Before the answer: what is released or comes from now on is news.
    queue.released = false;
    queue.called = false;
    const listed = !this.#mayWatch(queue);
    const args = [consumer, wanted, released ? "1" : "0", maxEntries, queue.name, listed ? "1" : "0"];
    const names = [queue.stream, queue.state, keys.prefix];
    const reply = await this.#attempt(queue, () => engine.run("take", names, args));
    // One that is refused asks again with the next beat.
    if (reply === undefined || reply === null) queue.released = true;
    if (reply === undefined || reply === null) return;
    const [empty, more, entries] = reply as [number, number, Taken[]];
    if (more === 1) queue.released = true;
    queue.empty = empty === 1 && !queue.called;
    queue.listed = queue.empty && listed;
    for (const taken of entries) this.take(queue, taken);
    this.ask(queue);
  }

  /** `undefined` when the engine did not do it. */
  async #attempt(queue: SharedQueue, work: () => Promise<Reply>): Promise<Reply | undefined> {
    queue.reading = true;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      if (error.code !== "EQ_ENGINE_AWAY") this.#options.onFailed([queue], error);
      return undefined;
    } finally {
      queue.reading = false;
    }
  }

  /** An entry was given to this broker. */
  take(queue: SharedQueue, [id, content, unsettled = null, failures = null]: Taken): void {
    const entry = decodeEntry(
      id.toString("latin1"),
      content,
      this.#options.nextChunkId(),
      unsettled,
      failures,
    );
    if (entry === undefined) this.#options.onUnknown(queue);
    else queue.take(entry);
  }

  #watch(): void {
    if (this.#watched === undefined) return void this.#wait();
    // It waits for others: let it begin anew, with this one.
    for (const queue of this.#hungry) if (!this.#watched.has(queue)) return this.#wake();
  }

  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    this.#options.engine
      .wakeWatch()
      // It had not begun: the next beat tries again.
      .then((woken) => {
        if (!woken) this.#waking = false;
      })
      // The engine is away, and with it what waits.
      .catch(() => {});
  }

  async #wait(): Promise<void> {
    const { engine, consumer } = this.#options;
    const watched = new Set(this.#hungry);
    this.#watched = watched;
    const streams = Array.from(watched, ({ stream }) => stream);
    const last = streams.map(() => ">");
    const start = ["GROUP", group, consumer, "COUNT", 1, "BLOCK", watchMs, "STREAMS"];
    try {
      this.#onWatched(watched, await engine.watch(watchMs, "XREADGROUP", ...start, ...streams, ...last));
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      for (const queue of watched) this.#hungry.delete(queue);
      // One of them has ended: the others are watched again.
      if (error.message.startsWith("UNBLOCKED")) for (const queue of watched) this.ask(queue);
      else if (error.code !== "EQ_ENGINE_AWAY") this.#options.onFailed(watched, error);
    } finally {
      this.#watched = undefined;
      this.#waking = false;
    }
  }

  #onWatched(watched: ReadonlySet<SharedQueue>, reply: Reply): void {
    for (const { stream, entries } of entriesOf(reply)) {
      const queue = [...watched].find((each) => each.stream === stream);
      if (queue === undefined) continue;
      queue.empty = false;
      this.#hungry.delete(queue);
      for (const [id, [, content]] of entries) this.take(queue, [id, content]);
    }
    for (const queue of watched) this.ask(queue);
  }
}

function unknownOf({ held, done }: SharedQueue, ids: readonly string[]): string[] {
  const known = new Set([...held.values(), ...done].filter(({ lost }) => !lost).map(({ id }) => id));
  return ids.filter((id) => !known.has(id));
}

type Entries = [id: Buffer, fields: [name: Buffer, content: Buffer]][];

/** What XREADGROUP answers. */
function entriesOf(reply: Reply): { stream: string; entries: Entries }[] {
  const streams = (reply ?? []) as [Buffer, Entries][];
  return streams.map(([stream, entries]) => ({ stream: stream.toString(), entries }));
}
