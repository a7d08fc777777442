/** The third driver of the journal: queues are streams in Redis that several brokers fill and empty together. */
import type { Chunk } from "../journal/chunk.ts";
import type { Committed, Journal, JournalStats, KeptSession, QueueId, Recovery } from "../journal/journal.ts";
import type { FailedAttempts, Slice } from "../journal/slice.ts";
import type { Appender, Owed, Recipient } from "./appender.ts";
import type { Engine } from "./engine.ts";
import { encodeEntries } from "./entry.ts";
import type { Holding } from "./holding.ts";
import type { Keys } from "./keys.ts";
import type { Notes } from "./notes.ts";
import { SharedQueue } from "./queue.ts";
import type { Registry } from "./registry.ts";
import type { Relays } from "./relays.ts";
import type { Settler } from "./settler.ts";

export interface ClusterJournalOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  registry: Registry;
  appender: Appender;
  settler: Settler;
  relays: Relays;
  notes: Notes;
  start: () => Promise<Recovery>;
  stop: () => Promise<void>;
  onFailed: (error: unknown) => void;
}

export class ClusterJournal implements Journal {
  readonly #options: ClusterJournalOptions;
  #lastId = 0;
  #lastQueue = 0;

  constructor(options: ClusterJournalOptions) {
    this.#options = options;
  }

  readonly durable = true;

  start(): Promise<Recovery> {
    return this.#options.start();
  }

  nextId(): number {
    return ++this.#lastId;
  }

  nextQueueId(): QueueId {
    return ++this.#lastQueue;
  }

  openQueue(pool: string, filter: string): QueueId {
    const { keys, registry } = this.#options;
    const queue = new SharedQueue(keys, this.nextQueueId(), pool, filter);
    registry.add(queue);
    return queue.id;
  }

  closeQueue(id: QueueId): void {
    const { registry } = this.#options;
    const queue = registry.get(id);
    if (queue !== undefined) void registry.close(queue);
  }

  append(_chunk: Chunk, owed: readonly { queue: QueueId; slice: Slice }[], committed: Committed): void {
    const { registry, relays, notes } = this.#options;
    const parts: Owed[] = [];
    void notes.send();
    for (const { queue: id, slice } of owed) {
      const queue = registry.get(id) ?? relays.get(id);
      if (queue !== undefined) parts.push(owedTo(queue, slice));
    }
    this.#options.appender.add(parts, notes.pending, committed);
  }

  settled(id: QueueId, slice: Slice): void {
    const queue = this.#options.registry.get(id);
    const holding = queue?.holdingOf(slice);
    if (holding !== undefined) this.#options.settler.settled(holding, slice);
  }

  attempted(id: QueueId, slice: Slice, index: number, failed: FailedAttempts): void {
    const { registry, engine, consumer, onFailed } = this.#options;
    const holding = registry.get(id)?.holdingOf(slice);
    const entry = holding?.held.get(slice);
    if (holding === undefined || entry === undefined || entry.lost || !engine.here) return;
    slice.earlier ??= new Map();
    slice.earlier.set(index, failed);
    entry.noted = true;
    const noted = JSON.stringify([...slice.earlier]);
    noteAttempts(engine, consumer, holding, entry.id, noted).catch(onFailed);
  }

  /** What is here is in memory. */
  read(_chunks: readonly Chunk[], done: (error: Error | undefined) => void): void {
    done(undefined);
  }

  retain(topic: string, frame: Buffer | undefined): void {
    this.#options.notes.retain(topic, frame);
  }

  keepSession(clientId: string, subscriptions: (() => KeptSession["subscriptions"]) | undefined): void {
    this.#options.notes.keepSession(clientId, subscriptions);
  }

  flush(done: Committed): void {
    this.#options.notes.flush(done);
  }

  stats(): JournalStats {
    const { appender, registry } = this.#options;
    let chunks = 0;
    for (const { heldCount } of registry.all()) chunks += heldCount;
    return { chunks, commits: appender.commits, pendingChunks: appender.pending };
  }

  stop(): Promise<void> {
    return this.#options.stop();
  }
}

/** In an ordered queue each entry goes to the shard of its keys. */
function owedTo(queue: Recipient, slice: Slice): Owed {
  if (queue.shards === undefined) return { queue, entries: encodeEntries(slice), shards: [] };
  const entries: Buffer[] = [];
  const shards: number[] = [];
  for (const [shard, part] of queue.shards.layout.split(slice)) {
    for (const entry of encodeEntries(part)) {
      entries.push(entry);
      shards.push(shard);
    }
  }
  return { queue, entries, shards };
}

/** Only the owner of a shard counts its attempts. */
async function noteAttempts(
  engine: Engine,
  consumer: string,
  holding: Holding,
  id: string,
  noted: string,
): Promise<void> {
  const { stream, state, fence } = holding;
  if (fence === undefined) return void (await engine.run("attempt", [stream, state], [consumer, id, noted]));
  const known = await engine.run("attemptOfShard", [state, fence.key], [fence.shard, fence.mark, id, noted]);
  if (known === 0) holding.refused(1);
}
