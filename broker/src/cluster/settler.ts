/**
 * Tells the engine what members have settled: whole entries soon, parts of entries a little later, because most of them
 * are whole by then. What was not told when the broker dies is delivered again by another one.
 */
import { type Clock, EquipoiseError } from "@equipoise/shared";
import type { Slice } from "../journal/slice.ts";
import type { Argument, Engine } from "./engine.ts";
import type { Entry } from "./entry.ts";
import type { Holding } from "./holding.ts";

const doneDelayMs = 5;
const partDelayMs = 100;
/** Entries told at once, so that the engine is not held up for others. */
const maxEntries = 500;
const retryMs = 1_000;

export interface SettlerOptions {
  engine: Engine;
  clock: Clock;
  /** The engine answers, and refuses to take note. */
  onFailed: (error: EquipoiseError) => void;
}

export class Settler {
  readonly #options: SettlerOptions;
  /** Those with something to tell. */
  readonly #holdings = new Set<Holding>();
  #cancelDone: (() => void) | undefined;
  #cancelPart: (() => void) | undefined;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  settled(holding: Holding, slice: Slice): void {
    const entry = holding.held.get(slice);
    if (entry === undefined) return;
    const done = slice.unsettled === 0;
    if (done) holding.held.delete(slice);
    if (entry.lost) return;
    this.#holdings.add(holding);
    if (done) {
      holding.dirty.delete(entry);
      holding.done.push(entry);
      this.#cancelDone ??= this.#options.clock.after(doneDelayMs, () => void this.flush(false));
    } else {
      holding.dirty.add(entry);
      this.#cancelPart ??= this.#options.clock.after(partDelayMs, () => void this.flush(true));
    }
  }

  /** Tells what there is to tell; while the engine is away it stays. @param parts also of entries that are not done */
  async flush(parts: boolean): Promise<void> {
    this.#cancelDone?.();
    this.#cancelDone = undefined;
    if (parts) {
      this.#cancelPart?.();
      this.#cancelPart = undefined;
    }
    if (!this.#options.engine.here) return;
    for (;;) {
      const told = this.#next(parts);
      if (told.length === 0) return;
      if (!(await this.#tell(told))) return;
    }
  }

  /** Asks how much is unsettled in queues, on all brokers together. */
  async ask(holdings: readonly Holding[]): Promise<void> {
    if (this.#options.engine.here)
      await this.#tell(holdings.map((holding) => ({ holding, done: [], dirty: [] })));
  }

  #next(parts: boolean): Told[] {
    const told: Told[] = [];
    let room = maxEntries;
    for (const holding of this.#holdings) {
      if (room <= 0) break;
      const done = holding.done.splice(0, room);
      room -= done.length;
      const dirty = parts ? [...holding.dirty].slice(0, room) : [];
      for (const entry of dirty) holding.dirty.delete(entry);
      room -= dirty.length;
      if (holding.done.length === 0 && holding.dirty.size === 0) this.#holdings.delete(holding);
      if (done.length + dirty.length > 0) told.push({ holding, done, dirty });
    }
    return told;
  }

  /** Returns false when it has to be told again. */
  async #tell(told: readonly Told[]): Promise<boolean> {
    const keys: string[] = [];
    const args: Argument[] = [];
    for (const { holding, done, dirty } of told) {
      const { stream, state, fence } = holding;
      keys.push(stream, state, fence?.key ?? state);
      args.push(fence?.shard ?? 0, fence?.mark ?? "", done.length);
      for (const { id, slice, byteLength, noted } of done)
        args.push(id, slice.chunk.count, byteLength, noted ? "1" : "0");
      args.push(dirty.length);
      for (const entry of dirty) args.push(...partOf(entry));
    }
    try {
      const totals = (await this.#options.engine.run("settle", keys, args)) as [number, number, number][];
      for (const [at, [bytes, messages, refused]] of totals.entries()) {
        const { holding } = told[at] as Told;
        holding.noteTotals(bytes, messages);
        if (refused > 0) holding.refused(refused);
      }
      return true;
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      this.#takeBack(told);
      if (error.code !== "EQ_ENGINE_AWAY") {
        this.#options.onFailed(error);
        this.#cancelPart ??= this.#options.clock.after(retryMs, () => void this.flush(true));
      }
      return false;
    }
  }

  #takeBack(told: readonly Told[]): void {
    for (const { holding, done, dirty } of told) {
      holding.done.push(...done);
      for (const entry of dirty) if (entry.slice.unsettled > 0 && !entry.lost) holding.dirty.add(entry);
      this.#holdings.add(holding);
    }
  }
}

interface Told {
  holding: Holding;
  done: Entry[];
  dirty: Entry[];
}

function partOf(entry: Entry): Argument[] {
  const { id, slice, byteLength } = entry;
  const bits = slice.unsettledBits();
  if (bits === null) throw new Error("an entry of which nothing is settled is not dirty");
  entry.noted = true;
  return [id, slice.chunk.count, byteLength, Buffer.from(bits)];
}
