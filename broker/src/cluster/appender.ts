/**
 * Batches of messages on their way into the engine. They are sent as they come, answered in order, and kept until they
 * are answered: while the engine is away they wait, and go again when it is back. A batch has a number, by which the
 * engine knows one that it has stored although its answer was lost.
 */
import { EquipoiseError } from "@equipoise/shared";
import type { Committed } from "../journal/journal.ts";
import type { Argument, Engine, Reply } from "./engine.ts";
import type { Keys } from "./keys.ts";
import type { QueueTerms } from "./queue.ts";

/** Bytes of messages without an answer; what comes beyond that is refused. */
const maxWaitingBytes = 67_108_864;

/** The connection answers nothing else while it waits for replicas. */
const waitMs = 300;

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
  noteTotals(bytes: number, messages: number): void;
}

/** A recipient's part of a batch. */
export interface Owed {
  readonly queue: Recipient;
  readonly entries: readonly Buffer[];
}

export interface AppenderOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  minReplicas: number;
  /** `short` has changed. */
  onShort: () => void;
  onDropped: (queue: Recipient, messages: number) => void;
  /** Messages were stored in a queue. */
  onStored: (queue: Recipient) => void;
}

export class Appender {
  readonly #options: AppenderOptions;
  /** In order; the first ones may be on their way. */
  readonly #batches: Batch[] = [];
  #lastNumber = 0;
  #waitingBytes = 0;
  commits = 0;
  /** Too few replicas have what was stored last: nothing is acknowledged. */
  short = false;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#batches.length;
  }

  /** Stores messages; without any it only waits for what was given before. */
  add(owed: readonly Owed[], committed: Committed): void {
    let bytes = 0;
    for (const { entries } of owed) for (const entry of entries) bytes += entry.length;
    if (this.#waitingBytes + bytes > maxWaitingBytes && bytes > 0)
      return committed(new EquipoiseError("EQ_ENGINE_AWAY", `${maxWaitingBytes} bytes wait for it already`));
    const batch = { number: ++this.#lastNumber, owed, bytes, committed, answered: owed.length === 0 };
    if (batch.answered && this.#batches.length === 0) return committed(undefined);
    this.#waitingBytes += bytes;
    this.#batches.push(batch);
    if (!batch.answered && this.#options.engine.here) void this.#send(batch);
  }

  /** The engine is back: whatever has no answer goes again. */
  resend(): void {
    for (const batch of this.#batches) if (!batch.answered) void this.#send(batch);
  }

  async #send(batch: Batch): Promise<void> {
    const { engine, keys, consumer } = this.#options;
    const names = [keys.appended, keys.registry];
    const args: Argument[] = [consumer, batch.number];
    for (const { queue, entries } of batch.owed) {
      names.push(queue.stream, queue.state);
      args.push(queue.name, queue.terms === "channel" ? -2 : (queue.terms.dropAtBytes ?? -1), entries.length);
      for (const entry of entries) args.push(entry);
    }
    try {
      const totals = engine.run("append", names, args);
      await Promise.all([totals, this.#replicated()]);
      this.#note(batch, (await totals) as Reply[]);
      this.#finish(batch, undefined);
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      if (error.code !== "EQ_ENGINE_AWAY") this.#finish(batch, error);
    }
  }

  /** Waits until enough replicas have all that was sent before. */
  async #replicated(): Promise<void> {
    const { engine, minReplicas, onShort } = this.#options;
    if (minReplicas === 0) return;
    for (;;) {
      const short = ((await engine.ask("WAIT", minReplicas, waitMs)) as number) < minReplicas;
      if (short !== this.short) {
        this.short = short;
        onShort();
      }
      if (!short) return;
    }
  }

  #note({ owed }: Batch, totals: Reply[]): void {
    for (const [at, { queue }] of owed.entries()) {
      const total = totals[at] as [number, number, number] | null | undefined;
      if (total === null || total === undefined) continue;
      const [bytes, messages, dropped] = total;
      queue.noteTotals(bytes, messages);
      if (dropped > 0) this.#options.onDropped(queue, dropped);
      this.#options.onStored(queue);
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
