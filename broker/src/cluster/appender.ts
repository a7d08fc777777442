/**
 * Batches of messages on their way into the engine. They are sent as they come, answered in order, and kept until they
 * are answered: while the engine is away they wait, and go again when it is back. A batch has a number, by which the
 * engine knows one that it has stored although its answer was lost.
 */
import { type Clock, EquipoiseError } from "@equipoise/shared";
import type { Committed } from "../journal/journal.ts";
import type { Argument, Engine } from "./engine.ts";
import type { Taken } from "./entry.ts";
import type { Keys } from "./keys.ts";
import { plainLayout } from "./order/layout.ts";
import type { Shards } from "./order/shards.ts";
import type { QueueTerms } from "./queue.ts";

/** Bytes of messages without an answer; what comes beyond that is refused. */
const maxWaitingBytes = 67_108_864;

/** How long the engine knows the last batch of a broker that stores nothing more. */
const rememberedMs = 3_600_000;

/** The connection answers nothing else while it waits for replicas. */
const waitMs = 100;
/** While it is not certain that this is the primary, which is found out elsewhere. */
const doubtPeriodMs = 50;
/** Waits in vain after which another primary is looked for; then twice as many, up to so many. */
const firstDoubt = 18;
const lastDoubt = 300;

interface Batch {
  readonly number: number;
  readonly owed: readonly Owed[];
  readonly bytes: number;
  readonly committed: Committed;
  /** Stored, or nothing to store. */
  answered: boolean;
}

/** Where entries go: a queue, or the channel of another broker. */
export interface Recipient {
  readonly name: string;
  readonly stream: string;
  readonly state: string;
  readonly terms: QueueTerms | "channel";
  /** Present where the messages of a key are kept in order. */
  readonly shards?: Shards | undefined;
  /** Messages that are taken from it in the same step. */
  readonly atOnce?: number;
  noteTotals(bytes: number, messages: number): void;
}

/** A recipient's part of a batch. */
export interface Owed {
  readonly queue: Recipient;
  readonly entries: readonly Buffer[];
  /** Of each entry, in an ordered queue. */
  readonly shards: readonly number[];
}

/** What the engine says of a queue: its bytes and messages, how many were dropped, what was taken at once. */
type Stored = [bytes: number, messages: number, dropped: number, taken: Taken[]] | null;

export interface AppenderOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  clock: Clock;
  minReplicas: number;
  /** `short` has changed. */
  onShort: () => void;
  onDropped: (queue: Recipient, messages: number) => void;
  /** The engine has not got any more what it had answered for. */
  onLost: (batches: number) => void;
  /** Messages were stored in a queue. */
  onStored: (queue: Recipient) => void;
  /** Entries were taken from a queue in the same step. */
  onTaken: (queue: Recipient, entries: readonly Taken[]) => void;
}

export class Appender {
  readonly #options: AppenderOptions;
  /** In order; the first ones may be on their way. */
  readonly #batches: Batch[] = [];
  #lastNumber = 0;
  #waitingBytes = 0;
  #lastStored = { number: 0, atMs: 0 };
  /** Waits for replicas: the one under way, and the next one. */
  #wait: Promise<void> = Promise.resolve();
  #nextWait: Promise<void> | undefined;
  commits = 0;
  /** Too few replicas have what was stored last, or it may be at the wrong primary: nothing is acknowledged. */
  short = false;
  /** Waits in vain since the last one that was not, and at how many of them another primary is looked for. */
  #inVain = 0;
  #doubtAt = firstDoubt;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#batches.length;
  }

  /**
   * Stores messages; without any it only waits for what was given before.
   * @param noted notes were sent to the engine, or wait to be: the answer stands for them, too
   */
  add(owed: readonly Owed[], noted: boolean, committed: Committed): void {
    let bytes = 0;
    for (const { entries } of owed) for (const entry of entries) bytes += entry.length;
    if (this.#waitingBytes + bytes > maxWaitingBytes && bytes > 0)
      return committed(new EquipoiseError("EQ_ENGINE_AWAY", `${maxWaitingBytes} bytes wait for it already`));
    const batch = {
      number: ++this.#lastNumber,
      owed,
      bytes,
      committed,
      answered: owed.length === 0 && !noted,
    };
    if (batch.answered && this.#batches.length === 0) return committed(undefined);
    this.#waitingBytes += bytes;
    this.#batches.push(batch);
    if (!batch.answered && this.#options.engine.here) void this.#send(batch);
  }

  /** The engine is back: whatever has no answer goes again. */
  resend(): void {
    void this.#audit();
    for (const batch of this.#batches) if (!batch.answered) void this.#send(batch);
  }

  /** One that failed over, or began anew, may have less than it had answered for. */
  async #audit(): Promise<void> {
    const { engine, keys, consumer, clock, onLost } = this.#options;
    const { number, atMs } = this.#lastStored;
    if (number === 0 || clock.monotonicMs() - atMs > rememberedMs / 2) return;
    try {
      const known = Number(String(await engine.ask("GET", keys.appended(consumer))));
      if (!(known >= number)) onLost(number - (known || 0));
    } catch (error) {
      // Asked again when it is back again.
      if (!(error instanceof EquipoiseError)) throw error;
    }
  }

  async #send(batch: Batch): Promise<void> {
    const { engine, keys, consumer } = this.#options;
    const names = [
      keys.appended(consumer),
      keys.registry,
      keys.calls,
      keys.layouts,
      keys.waiting,
      keys.brokers,
    ];
    const args: Argument[] = [batch.number, rememberedMs, consumer];
    for (const { queue, entries, shards } of batch.owed) {
      names.push(queue.shards?.key ?? queue.stream, queue.state);
      args.push(...headOf(queue), entries.length);
      for (const [at, entry] of entries.entries()) {
        const shard = shards[at];
        if (shard !== undefined) args.push(shard);
        args.push(entry);
      }
    }
    try {
      const totals = engine
        .run("append", names, args)
        .then((reply) => this.#noteTaken(batch, reply as Stored[]));
      await Promise.all([totals, this.#replicated()]);
      this.#lastStored = { number: batch.number, atMs: this.#options.clock.monotonicMs() };
      this.#note(batch, await totals);
      this.#finish(batch, undefined);
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      if (error.code !== "EQ_ENGINE_AWAY") this.#finish(batch, error);
    }
  }

  /** Waits until the engine, and enough replicas, have all that was asked before. @throws EquipoiseError EQ_ENGINE_AWAY */
  async replicated(): Promise<void> {
    if (this.#options.minReplicas === 0) await this.#options.engine.ask("PING");
    else await this.#replicated();
  }

  /**
   * Waits until enough replicas have all that was sent before. One wait at a time stands for all batches before it,
   * because nothing else is answered meanwhile, and a broker that cannot say that it lives is dead.
   */
  #replicated(): Promise<void> {
    if (this.#options.minReplicas === 0) return this.#wait;
    const before = this.#wait.catch(() => {});
    this.#nextWait ??= before.then(() => {
      this.#wait = this.#nextWait as Promise<void>;
      this.#nextWait = undefined;
      return this.#waitForReplicas();
    });
    return this.#nextWait;
  }

  async #waitForReplicas(): Promise<void> {
    const { engine, minReplicas, onShort, clock } = this.#options;
    for (;;) {
      const missing = ((await engine.ask("WAIT", minReplicas, waitMs)) as number) < minReplicas;
      const short = missing || !engine.undisputed;
      if (short !== this.short) {
        this.short = short;
        onShort();
      }
      this.#noteWait(missing);
      if (!short) return;
      if (!missing) await new Promise<void>((resolve) => clock.after(doubtPeriodMs, resolve));
    }
  }

  /** A primary without its replicas may be one that they have replaced. */
  #noteWait(missing: boolean): void {
    this.#inVain = missing ? this.#inVain + 1 : 0;
    if (!missing) this.#doubtAt = firstDoubt;
    if (this.#inVain < this.#doubtAt) return;
    this.#inVain = 0;
    this.#doubtAt = Math.min(lastDoubt, 2 * this.#doubtAt);
    this.#options.engine.doubt(`fewer than ${this.#options.minReplicas} replicas have what it has`);
  }

  /** They wait for no replica, like all that is taken. */
  #noteTaken({ owed }: Batch, stored: Stored[]): Stored[] {
    for (const [at, { queue }] of owed.entries()) {
      const [, , , taken = []] = stored[at] ?? [];
      if (taken.length > 0) this.#options.onTaken(queue, taken);
    }
    return stored;
  }

  #note({ owed }: Batch, stored: readonly Stored[]): void {
    for (const [at, { queue, entries }] of owed.entries()) {
      const total = stored[at] ?? null;
      if (total === null) continue;
      const [bytes, messages, dropped, taken] = total;
      queue.noteTotals(bytes, messages);
      if (dropped > 0) this.#options.onDropped(queue, dropped);
      if (taken.length < entries.length) this.#options.onStored(queue);
    }
  }

  #finish(batch: Batch, error: EquipoiseError | undefined): void {
    if (!this.#batches.includes(batch)) return;
    batch.answered = true;
    if (error === undefined) this.commits++;
    else {
      this.#remove(batch);
      batch.committed(error);
    }
    for (let first = this.#batches[0]; first?.answered === true; first = this.#batches[0]) {
      this.#remove(first);
      first.committed(undefined);
    }
  }

  #remove(batch: Batch): void {
    this.#batches.splice(this.#batches.indexOf(batch), 1);
    this.#waitingBytes -= batch.bytes;
  }
}

function headOf({ name, terms, shards, atOnce = 0 }: Recipient): Argument[] {
  const dropAtBytes = terms === "channel" ? -2 : (terms.dropAtBytes ?? -1);
  return [name, dropAtBytes, shards?.layout.text ?? plainLayout, atOnce];
}
