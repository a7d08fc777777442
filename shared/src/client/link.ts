/**
 * Keeps one connection to one of several brokers, with backoff: the first address, after a failure the others in turn, in
 * a random order of its own, so that a dead broker's clients do not all go to the same next one.
 */
import { backoffMs } from "../backoff.ts";
import { withoutCredentials } from "../broker-url.ts";
import type { Clock } from "../clock.ts";
import { EquipoiseError, reasonOf } from "../errors.ts";
import { shuffled } from "../shuffle.ts";
import type { Connection } from "./connection.ts";

/** A connection that was lost sooner counts as one more failed attempt. */
const stableAfterMs = 5_000;
const maxBackoffMs = 10_000;

export interface LinkOptions {
  urls: readonly string[];
  clock: Clock;
  random: () => number;
  /** Connects and does all that makes the connection useful. */
  join: (url: string, signal: AbortSignal) => Promise<Connection>;
  onJoined: (connection: Connection) => void;
  onLost: (broker: string, reason: string, retryInMs: number) => void;
  onUnreachable: (broker: string, reason: string, retryInMs: number) => void;
}

export class Link {
  readonly #options: LinkOptions;
  /** All addresses, in the order in which they are tried. */
  readonly #urls: readonly string[];
  readonly #stop = new AbortController();
  #interrupt = (): void => {};
  #attempts = 0;
  #turn = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(options: LinkOptions) {
    this.#options = options;
    const [first, ...others] = options.urls;
    if (first === undefined) throw new Error("a link needs an address");
    this.#urls = [first, ...shuffled(others, options.random)];
  }

  /**
   * Resolves at the first success or when stopped. Once there has been a success nothing is final any more.
   * @throws EquipoiseError that is not retryable, before the first success
   */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#running = this.#run(resolve).then(resolve, reject);
    });
  }

  /** No more attempts; an established connection is left to its owner. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#interrupt();
    await this.#running.catch(() => {});
  }

  async #run(onFirst: () => void): Promise<void> {
    let joinedOnce = false;
    while (!this.#stop.signal.aborted) {
      const url = this.#nextUrl();
      try {
        await this.#hold(url, onFirst, () => {
          joinedOnce = true;
        });
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (!(error instanceof EquipoiseError) || !(error.retryable || joinedOnce)) throw error;
        const delayMs = this.#delayMs();
        this.#options.onUnreachable(withoutCredentials(url), reasonOf(causeOf(error)), delayMs);
        await this.#pause(delayMs);
      }
    }
  }

  /** Joins, and returns when the connection was lost and the next attempt is due. */
  async #hold(url: string, onFirst: () => void, joined: () => void): Promise<void> {
    const { clock, join, onJoined, onLost } = this.#options;
    const connection = await join(url, this.#stop.signal);
    joined();
    onJoined(connection);
    onFirst();
    const sinceMs = clock.monotonicMs();
    const reason = await this.#interruptible<string>((resolve) => void connection.closed.then(resolve));
    if (reason === undefined) return;
    if (clock.monotonicMs() - sinceMs >= stableAfterMs) this.#attempts = 0;
    const delayMs = this.#delayMs();
    onLost(connection.broker, reason, delayMs);
    await this.#pause(delayMs);
  }

  #nextUrl(): string {
    const url = this.#urls[this.#turn % this.#urls.length] as string;
    this.#turn += 1;
    return url;
  }

  /** Every address is tried once before the delay doubles. */
  #delayMs(): number {
    const round = Math.floor(this.#attempts / this.#options.urls.length);
    this.#attempts += 1;
    return backoffMs(round, maxBackoffMs, this.#options.random);
  }

  async #pause(delayMs: number): Promise<void> {
    let cancel = (): void => {};
    await this.#interruptible<void>((resolve) => {
      cancel = this.#options.clock.after(delayMs, resolve);
    });
    cancel();
  }

  /** Resolves with nothing when the link is stopped meanwhile. */
  async #interruptible<T>(wait: (resolve: (value: T) => void) => void): Promise<T | undefined> {
    if (this.#stop.signal.aborted) return undefined;
    return await new Promise((resolve) => {
      this.#interrupt = () => resolve(undefined);
      wait(resolve);
    });
  }
}

/** Of a file that cannot be used, only the error itself has the name. */
const causeOf = (error: EquipoiseError): unknown =>
  error.code === "EQ_TLS_UNUSABLE" ? error : (error.cause ?? error);
