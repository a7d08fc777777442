/**
 * Keeps a venue subscribed. A connection that is lost is replaced after a random, growing pause. One that the venue is
 * about to close is replaced first: the new one subscribes, both are read for a moment, and only then the old one goes, so
 * that nothing is missed. Should the new one go first, the old one stays.
 *
 * A symbol is covered as long as any connection has it, and lost from the last frame of the one that had it last.
 */
import { backoffMs, type Clock } from "@equipoise/shared";
import { type ConnectionOptions, VenueConnection } from "./connection.ts";

export interface SessionOptions extends Omit<ConnectionOptions, "live" | "ageing" | "closed" | "symbols"> {
  /** Of the next connection. */
  symbols: () => readonly string[];
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** A connection is subscribed. */
  live: () => void;
  /** No connection has this symbol any more; the last frame of the last one that had it came then. */
  lost: (symbol: string, timeUs: number) => void;
  /** A connection ended, or could not be made; the next attempt comes then, or is under way already. */
  retrying: (reason: string, delayMs: number) => void;
  /** A second connection takes over from a healthy one. */
  replacing: (reason: string) => void;
}

const maxBackoffMs = 30_000;
/** A connection that lived this long was a good one: the pauses begin anew. */
const stableMs = 30_000;
/** What the venue had sent on the old connection before the new one was subscribed may still be on its way. */
const lingerMs = 2_000;

export class Session {
  readonly #options: SessionOptions;
  #live: VenueConnection | undefined;
  /** On its way to become the live one. */
  #opening: VenueConnection | undefined;
  /** Replaced, and read for a little longer. */
  #leaving: VenueConnection | undefined;
  #cancelRetry: (() => void) | undefined;
  #cancelLinger: (() => void) | undefined;
  #round = 0;
  #wasLive = false;
  #paused = false;
  #stopped = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#open();
  }

  /** A new connection, with what is to be subscribed now, takes over. */
  renew(reason: string): void {
    if (this.#stopped) return;
    // One that is on its way has asked for something else.
    const opening = this.#opening;
    this.#opening = undefined;
    this.#end(opening);
    this.#cancelRetry?.();
    if (this.#live !== undefined) this.#options.replacing(reason);
    this.#open();
  }

  pause(): void {
    this.#paused = true;
    for (const connection of this.#connections()) connection.pause();
  }

  resume(): void {
    this.#paused = false;
    for (const connection of this.#connections()) connection.resume();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#cancelLinger?.();
    const connections = this.#connections();
    this.#live = undefined;
    this.#opening = undefined;
    this.#leaving = undefined;
    for (const connection of connections) this.#end(connection);
  }

  /** A connection has it. @param symbol as in topics */
  covers(symbol: string): boolean {
    return this.#connections().some((connection) => connection.covers(symbol));
  }

  get isLive(): boolean {
    return this.#live !== undefined;
  }

  #connections(): VenueConnection[] {
    return [this.#live, this.#opening, this.#leaving].filter((connection) => connection !== undefined);
  }

  #open(): void {
    this.#cancelRetry = undefined;
    const connection = new VenueConnection({
      ...this.#options,
      symbols: this.#options.symbols(),
      live: () => this.#onLive(connection),
      ageing: (reason) => this.#onAgeing(connection, reason),
      closed: (reason) => this.#onClosed(connection, reason),
      // What was subscribed once exists: then it passes, and the connection ends for want of an answer.
      hopeless: (reason) => this.#wasLive || this.#options.hopeless(reason),
    });
    this.#opening = connection;
    if (this.#paused) connection.pause();
  }

  #onLive(connection: VenueConnection): void {
    this.#leave(this.#live);
    this.#live = connection;
    this.#opening = undefined;
    this.#wasLive = true;
    this.#options.live();
  }

  #leave(connection: VenueConnection | undefined): void {
    this.#cancelLinger?.();
    const before = this.#leaving;
    this.#leaving = connection;
    this.#end(before);
    if (connection !== undefined)
      this.#cancelLinger = this.#options.clock.after(lingerMs, () => this.#leave(undefined));
  }

  #end(connection: VenueConnection | undefined): void {
    connection?.close();
    if (connection !== undefined) this.#uncover(connection);
  }

  /** The connection is gone, and is none of ours any more. */
  #uncover({ covered, heardTimeUs }: VenueConnection): void {
    if (heardTimeUs === undefined) return;
    for (const symbol of covered) if (!this.covers(symbol)) this.#options.lost(symbol, heardTimeUs);
  }

  #onAgeing(connection: VenueConnection, reason: string): void {
    if (connection !== this.#live || this.#isReplacing() || this.#stopped) return;
    this.#options.replacing(reason);
    // A venue that announces this to every new connection must not be besieged.
    if (this.#wasStable(connection)) this.#open();
    else this.#openLater();
  }

  #onClosed(connection: VenueConnection, reason: string): void {
    if (connection === this.#leaving) return this.#leave(undefined);
    if (this.#wasStable(connection)) this.#round = 0;
    if (connection === this.#opening) this.#opening = undefined;
    else this.#fallBack();
    this.#uncover(connection);
    this.#options.retrying(reason, this.#isReplacing() ? 0 : this.#openLater());
  }

  /** The one that was being replaced is still subscribed. */
  #fallBack(): void {
    this.#cancelLinger?.();
    this.#live = this.#leaving;
    this.#leaving = undefined;
  }

  #isReplacing(): boolean {
    return this.#opening !== undefined || this.#cancelRetry !== undefined;
  }

  #openLater(): number {
    const { clock, random } = this.#options;
    const delayMs = backoffMs(this.#round, maxBackoffMs, random);
    this.#round += 1;
    this.#cancelRetry = clock.after(delayMs, () => this.#open());
    return delayMs;
  }

  #wasStable({ liveSinceMs }: VenueConnection): boolean {
    return liveSinceMs !== undefined && this.#options.clock.monotonicMs() - liveSinceMs >= stableMs;
  }
}
