/**
 * Keeps a venue subscribed. A connection that is lost is replaced after a random, growing pause. One that the venue is
 * about to close is replaced first: the new one subscribes, both are read for a moment, and only then the old one goes, so that nothing
 * is missed.
 */
import { backoffMs, type Clock } from "@equipoise/shared";
import { type ConnectionOptions, VenueConnection } from "./connection.ts";

export interface SessionOptions extends Omit<ConnectionOptions, "live" | "ageing" | "closed" | "symbols"> {
  /** Of the next connection. */
  symbols: () => readonly string[];
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Everything is subscribed. */
  live: () => void;
  /** There is no subscribed connection any more; the last frame of the last one came then. */
  lost: (timeUs: number) => void;
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
    this.#opening?.close();
    this.#opening = undefined;
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
    for (const connection of this.#connections()) connection.close();
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
    this.#leaving?.close();
    this.#leaving = connection;
    if (connection !== undefined) this.#options.clock.after(lingerMs, () => connection.close());
  }

  #onAgeing(connection: VenueConnection, reason: string): void {
    if (connection !== this.#live || this.#isReplacing() || this.#stopped) return;
    this.#options.replacing(reason);
    // A venue that announces this to every new connection must not be besieged.
    if (this.#wasStable(connection)) this.#open();
    else this.#openLater();
  }

  #onClosed(connection: VenueConnection, reason: string): void {
    if (connection === this.#leaving) return;
    if (this.#wasStable(connection)) this.#round = 0;
    if (connection === this.#opening) this.#opening = undefined;
    else this.#live = undefined;
    if (this.#live === undefined && connection.heardTimeUs !== undefined) {
      this.#options.lost(connection.heardTimeUs);
    }
    if (this.#stopped) return;
    this.#options.retrying(reason, this.#isReplacing() ? 0 : this.#openLater());
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
