/**
 * Messages that failed too often. They are kept in the journal, one queue for each pool, until they are replayed or
 * purged; each is also published once on `dead/{pool}/{original topic}`. Bounded by number; the oldest go first.
 */
import { Deque, EquipoiseError, reasonOf, topics } from "@equipoise/shared";
import type { Events } from "../events.ts";
import { bodyOf, type Chunk, ChunkBuilder, encodePublish } from "../journal/chunk.ts";
import type { Journal, QueueId, RecoveredQueue } from "../journal/journal.ts";
import { Indexes, Slice } from "../journal/slice.ts";
import type { Backlog } from "./backlog.ts";
import type { Delivery } from "./delivery.ts";

/** What is told of a dead letter; also the payload on its topic. */
export interface DeadLetter {
  pool: string;
  filter: string;
  topic: string;
  reason: string;
  attempts: number;
  /** Milliseconds since 1970. */
  firstTimeMs: number;
  lastTimeMs: number;
  qos: number;
  payload: string;
  encoding: "utf8" | "base64";
}

/** Where dead letters are kept. */
export interface DeadLetterBook {
  /** Takes the journal's queues of dead letters; returns the others. */
  recover(recovered: readonly RecoveredQueue[]): RecoveredQueue[];
  /** How many of a pool there are. */
  count(pool: string): number;
  /** Keeps a message as a dead letter. @param done called when it is stored, or could not be */
  bury(pool: string, filter: string, delivery: Delivery, done: (error: Error | undefined) => void): void;
  /** The oldest dead letters of a pool. */
  list(pool: string, limit: number): Promise<DeadLetter[]>;
  /**
   * Puts dead letters back into their pool as new messages with no failed attempts; those whose filter is gone stay.
   * @returns how many went back
   */
  replay(pool: string, backlogOf: (filter: string) => Backlog | undefined): Promise<number>;
  /** Forgets the dead letters of a pool; returns how many there were. */
  purge(pool: string): Promise<number>;
}

/** The filter under which the journal keeps a pool's dead letters; no subscription can have it. */
export const deadFilter = "#dead";

interface Shelf {
  queue: QueueId;
  slices: Deque<Slice>;
}

export interface DeadLettersOptions {
  journal: Journal;
  events: Events;
  maxPerPool: number;
  publish: (topic: string, payload: Buffer) => void;
}

export class DeadLetters implements DeadLetterBook {
  readonly #options: DeadLettersOptions;
  readonly #shelves = new Map<string, Shelf>();

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  recover(recovered: readonly RecoveredQueue[]): RecoveredQueue[] {
    return recovered.filter(({ id, pool, filter, slices }) => {
      if (filter !== deadFilter) return true;
      const shelf: Shelf = { queue: id, slices: new Deque() };
      for (const slice of slices) shelf.slices.push(slice);
      this.#shelves.set(pool, shelf);
      return false;
    });
  }

  count(pool: string): number {
    return this.#shelves.get(pool)?.slices.length ?? 0;
  }

  bury(pool: string, filter: string, delivery: Delivery, done: (error: Error | undefined) => void): void {
    const { journal, events, publish } = this.#options;
    const letter = letterOf(pool, filter, delivery);
    const payload = encodeLetter(letter);
    const topic = topics.dead(pool, letter.topic);
    const shelf = this.#shelfOf(pool);
    const { chunk, slice } = single(journal, encodePublish(topic, payload, { qos: 1, retain: false }));
    journal.append(chunk, [{ queue: shelf.queue, slice }], (error) => {
      if (error === undefined) {
        this.#keep(pool, shelf, slice);
        const { topic: original, attempts, reason } = letter;
        events.emit({ event: "delivery.dead", pool, topic: original, attempts, reason });
        publish(topic, payload);
      }
      done(error);
    });
  }

  #keep(pool: string, shelf: Shelf, slice: Slice): void {
    shelf.slices.push(slice);
    // On disk it is enough; in memory it must stay.
    if (slice.chunk.durable) {
      slice.chunk.hold();
      slice.chunk.release();
    }
    if (shelf.slices.length <= this.#options.maxPerPool) return;
    this.#forget(shelf, shelf.slices.shift() as Slice);
    this.#options.events.emit({ event: "dead.dropped", pool, maxDeadLetters: this.#options.maxPerPool });
  }

  async list(pool: string, limit: number): Promise<DeadLetter[]> {
    const { slices } = this.#shelves.get(pool) ?? { slices: new Deque<Slice>() };
    const some: Slice[] = [];
    for (let at = 0; at < Math.min(limit, slices.length); at++) some.push(slices.at(at) as Slice);
    return await this.#read(some);
  }

  async replay(pool: string, backlogOf: (filter: string) => Backlog | undefined): Promise<number> {
    const shelf = this.#shelves.get(pool);
    if (shelf === undefined) return 0;
    let replayed = 0;
    for (let left = shelf.slices.length; left > 0; left--) {
      const slice = shelf.slices.shift() as Slice;
      if (await this.#replayOne(slice, backlogOf)) {
        this.#forget(shelf, slice);
        replayed++;
      } else shelf.slices.push(slice);
    }
    return replayed;
  }

  /** Returns false when the letter stays: its filter is gone, it cannot be read, or the store failed. */
  async #replayOne(slice: Slice, backlogOf: (filter: string) => Backlog | undefined): Promise<boolean> {
    try {
      const [letter] = await this.#read([slice]);
      const backlog = letter === undefined ? undefined : backlogOf(letter.filter);
      if (letter === undefined || backlog === undefined) return false;
      await this.#putBack(letter, backlog);
      return true;
    } catch (error) {
      const code = error instanceof EquipoiseError ? error.code : "EQ_STORE_FAILED";
      this.#options.events.emit({
        event: "journal.failed",
        code,
        detail: `a dead letter stays: ${reasonOf(error)}`,
      });
      return false;
    }
  }

  async purge(pool: string): Promise<number> {
    const shelf = this.#shelves.get(pool);
    if (shelf === undefined) return 0;
    const count = shelf.slices.length;
    for (let slice = shelf.slices.shift(); slice !== undefined; slice = shelf.slices.shift())
      this.#forget(shelf, slice);
    return count;
  }

  async #putBack(letter: DeadLetter, backlog: Backlog): Promise<void> {
    const { journal } = this.#options;
    const { chunk, slice } = single(journal, frameOf(letter));
    await new Promise<void>((resolve, reject) => {
      const owed = backlog.queue === undefined ? [] : [{ queue: backlog.queue, slice }];
      journal.append(chunk, owed, (error) => (error === undefined ? resolve() : reject(error)));
    });
    chunk.hold();
    backlog.push(slice);
    chunk.release();
  }

  async #read(slices: readonly Slice[]): Promise<DeadLetter[]> {
    const { journal } = this.#options;
    const missing = slices.map(({ chunk }) => chunk).filter(({ loaded }) => !loaded);
    for (const { chunk } of slices) chunk.hold();
    try {
      await new Promise<void>((resolve, reject) => {
        if (missing.length === 0) return resolve();
        journal.read(missing, (error) => (error === undefined ? resolve() : reject(error)));
      });
      return slices
        .filter(({ chunk }) => chunk.loaded)
        .map(({ chunk }) => JSON.parse(chunk.payloadOf(0).toString("utf8")) as DeadLetter);
    } finally {
      for (const { chunk } of slices) chunk.release();
    }
  }

  #forget({ queue }: Shelf, slice: Slice): void {
    slice.unsettled = 0;
    if (slice.chunk.durable) this.#options.journal.settled(queue, slice);
  }

  #shelfOf(pool: string): Shelf {
    let shelf = this.#shelves.get(pool);
    if (shelf === undefined) {
      shelf = { queue: this.#options.journal.openQueue(pool, deadFilter), slices: new Deque() };
      this.#shelves.set(pool, shelf);
    }
    return shelf;
  }
}

export const encodeLetter = (letter: DeadLetter): Buffer => Buffer.from(JSON.stringify(letter));

/** The message that a dead letter was. */
export function frameOf({ topic, payload, encoding, qos }: DeadLetter): Buffer {
  const flags = { qos: qos === 0 ? 0 : 1, retain: false } as const;
  return encodePublish(topic, Buffer.from(payload, encoding), flags);
}

/** A chunk of one message, and all of it. */
export function single(journal: Journal, frame: Buffer): { chunk: Chunk; slice: Slice } {
  const builder = new ChunkBuilder(frame.length);
  builder.add(frame, 0, bodyOf(frame, 0), frame.length);
  const chunk = builder.finish(journal.nextId());
  const indexes = new Indexes();
  indexes.add(0);
  return { chunk, slice: new Slice(chunk, indexes) };
}

export function letterOf(pool: string, filter: string, delivery: Delivery): DeadLetter {
  const { attempts, topic, payload, failures } = delivery;
  const text = asText(payload);
  return {
    pool,
    filter,
    topic,
    reason: failures?.reason ?? "",
    attempts,
    firstTimeMs: failures?.firstTimeMs ?? 0,
    lastTimeMs: failures?.lastTimeMs ?? 0,
    qos: delivery.chunk.qosOf(delivery.index),
    payload: text ?? payload.toString("base64"),
    encoding: text === undefined ? "base64" : "utf8",
  };
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function asText(payload: Buffer): string | undefined {
  try {
    return strict.decode(payload);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw new Error(`cannot decode a payload: ${reasonOf(error)}`);
  }
}
