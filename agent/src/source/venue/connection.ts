/** One WebSocket to a venue: opens, subscribes, keeps itself alive, and ends when the venue falls silent. */
import { type Clock, reasonOf } from "@equipoise/shared";
import { WebSocket } from "ws";
import { Subscriber } from "./subscriber.ts";
import { symbolOf, type Venue, type VenueMessage, type VenueTick } from "./venue.ts";

export interface ConnectionOptions {
  venue: Venue;
  url: string;
  symbols: readonly string[];
  clock: Clock;
  /** What a frame says; undefined when it was skipped. */
  read: (frame: string) => VenueMessage[] | undefined;
  ticks: (ticks: VenueTick[], snapshot: boolean) => void;
  /** From now on this symbol's ticks come over the connection: once each, as in topics. */
  covered: (symbol: string) => void;
  /** The venue has answered; see {@link VenueConnection.covers} for what is subscribed. */
  live: () => void;
  /** The venue will close the connection soon, as it has said or as it does with all of this age. */
  ageing: (reason: string) => void;
  refused: (reason: string) => void;
  /** Nothing could be subscribed, for good. */
  hopeless: (reason: string) => void;
  /** Once; not after {@link VenueConnection.close}. */
  closed: (reason: string) => void;
}

const handshakeTimeoutMs = 10_000;
const maxFrameBytes = 4 * 2 ** 20;
const closeTimeoutMs = 1_000;
const staleChecks = 4;
/** A venue that invents symbols must not fill the memory. */
const maxCovered = 1_000;

export class VenueConnection {
  /** Wall clock of the last frame, microseconds; undefined before the first. */
  heardTimeUs: number | undefined;
  /** Monotonic clock since when it is subscribed. */
  liveSinceMs: number | undefined;
  /** The symbols, as in topics, that the venue has confirmed or sent ticks of. */
  readonly #covered = new Set<string>();
  #namesSymbols = false;
  readonly #options: ConnectionOptions;
  readonly #socket: WebSocket;
  readonly #subscriber: Subscriber;
  readonly #timers: (() => void)[] = [];
  #heardMs: number;
  #paused = false;
  #closed = false;
  #fault: string | undefined;

  constructor(options: ConnectionOptions) {
    const { venue, url, symbols, clock } = options;
    this.#options = options;
    this.#heardMs = clock.monotonicMs();
    this.#subscriber = new Subscriber({
      subscription: venue.subscribe(symbols),
      pauseMs: venue.subscribePauseMs,
      clock,
      send: (frame) => this.#send(frame),
      done: (complete) => this.#onLive(complete),
      failed: (reason) => this.#fail(reason),
    });
    this.#socket = new WebSocket(url, {
      handshakeTimeout: handshakeTimeoutMs,
      maxPayload: maxFrameBytes,
      perMessageDeflate: false,
    });
    this.#listen();
    this.#timers.push(clock.every(venue.staleMs / staleChecks, () => this.#checkStale()));
  }

  /** Stops reading: the venue's bytes wait in the network, for as long as the venue bears it. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#socket.resume();
  }

  get covered(): Iterable<string> {
    return this.#covered;
  }

  covers(symbol: string): boolean {
    return this.#covered.has(symbol);
  }

  close(): void {
    if (!this.#end()) return;
    const cancel = this.#options.clock.after(closeTimeoutMs, () => this.#socket.terminate());
    this.#socket.once("close", cancel);
    this.#socket.resume(); // or it would never read the answer
    this.#socket.close(1000);
  }

  #listen(): void {
    const { venue, clock } = this.#options;
    this.#socket.on("open", () => {
      if (this.#closed) return;
      if (this.#paused) this.#socket.pause();
      this.#subscriber.start();
      const { periodMs, text } = venue.keepAlive ?? {};
      if (periodMs === undefined) return;
      const ping = text === undefined ? () => this.#socket.ping() : () => this.#send(text);
      this.#timers.push(clock.every(periodMs, ping));
    });
    this.#socket.on("message", (data) => this.#onFrame(String(data)));
    this.#socket.on("ping", () => this.#hear());
    this.#socket.on("pong", () => this.#hear());
    this.#socket.on("error", (error) => {
      this.#fault = reasonOf(error);
    });
    this.#socket.on("close", (code, reason) => {
      if (this.#end()) this.#options.closed(this.#fault ?? `closed with ${code} ${reason}`.trim());
    });
  }

  #onFrame(frame: string): void {
    if (this.#closed) return;
    this.#hear();
    this.heardTimeUs = Math.round(this.#options.clock.wallMs() * 1000);
    for (const message of this.#options.read(frame) ?? []) this.#onMessage(message);
  }

  #onMessage(message: VenueMessage): void {
    if (message.kind === "ticks") {
      this.#subscriber.ticked();
      for (const { trade } of message.ticks) this.#cover(trade.symbol);
      this.#options.ticks(message.ticks, message.snapshot);
    } else if (message.kind === "subscribed") this.#onSubscribed(message.symbols);
    else if (message.kind === "reconnect") this.#options.ageing(message.reason);
    else if (message.kind === "refused") this.#onRefused(message.reason, message.fatal);
  }

  #onSubscribed(symbols: readonly string[] | undefined): void {
    this.#namesSymbols ||= symbols !== undefined;
    for (const symbol of symbols ?? []) this.#cover(symbol);
    this.#subscriber.acknowledged();
  }

  #cover(symbol: string): void {
    if (this.#covered.has(symbol) || this.#covered.size >= maxCovered) return;
    this.#covered.add(symbol);
    this.#options.covered(symbol);
  }

  #onRefused(reason: string, fatal: boolean): void {
    this.#options.refused(reason);
    if (!fatal) this.#fail(`refused: ${reason}`);
    else if (this.#subscriber.refused()) this.#options.hopeless(reason);
  }

  /** Where answers name no symbol, all of them mean all that was asked for, and some of them nothing. */
  #onLive(complete: boolean): void {
    const { venue, symbols, clock, live, ageing } = this.#options;
    if (complete && !this.#namesSymbols) for (const symbol of symbols) this.#cover(symbolOf(venue, symbol));
    this.liveSinceMs = clock.monotonicMs();
    if (venue.maxAgeMs !== undefined) {
      this.#timers.push(clock.after(venue.maxAgeMs, () => ageing("its age")));
    }
    live();
  }

  #hear(): void {
    this.#heardMs = this.#options.clock.monotonicMs();
  }

  #checkStale(): void {
    const { clock, venue } = this.#options;
    if (this.#paused || clock.monotonicMs() - this.#heardMs < venue.staleMs) return;
    this.#fail(`silent for ${venue.staleMs} ms`);
  }

  #send(frame: string): void {
    // While it closes there is nothing to say any more.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }

  #fail(reason: string): void {
    if (!this.#end()) return;
    this.#socket.terminate();
    this.#options.closed(reason);
  }

  /** False when it had ended before. */
  #end(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    this.#subscriber.stop();
    for (const cancel of this.#timers) cancel();
    return true;
  }
}
