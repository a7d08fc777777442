/**
 * Keeps a connection to one of the brokers: the next one in this agent's own random order when it is lost, another one
 * when told to move. A move connects first and leaves then, so it costs nothing when the other broker does not answer;
 * between brokers of a cluster it is the other way round, because there a client id has one connection.
 */
import { backoffMs, type Clock, EquipoiseError, type Logger, shuffled } from "@equipoise/shared";
import {
  type BrokerClient,
  discard,
  type Failure,
  type Identity,
  openClient,
  type Will,
} from "./broker-client.ts";
import { Rival } from "./rival.ts";

export interface ConnectionOptions {
  urls: readonly string[];
  /** Asked for at every attempt, like the last will. */
  identity: () => Identity;
  maxBackoffMs: number;
  will: () => Will;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
  /** A connection is up; what was in flight on the one before means nothing on it. */
  connected: (client: BrokerClient, index: number) => void;
  /** A connection is about to be left: resolves when there is no more to wait for on it. */
  leaving: () => Promise<void>;
  /** It is not left after all. */
  staying: () => void;
  disconnected: () => void;
}

/** A broker that does not even read the goodbye is left without it. */
const goodbyeMs = 1_000;
/** A connection that held this long was a good one: the backoff begins anew. */
const steadyMs = 5_000;

export class Connection {
  readonly #options: ConnectionOptions;
  /** Indices into the urls; random, so that a broker's clients do not all go to the same next one. */
  readonly #order: readonly number[];
  #client: BrokerClient | undefined;
  #connectedAtMs: number | undefined;
  /** Where the client is connected, or tries to. */
  #index: number;
  /** A connection that is to take the place of the one in use. */
  #candidate: { client: BrokerClient; index: number } | undefined;
  #failures = 0;
  readonly #rival = new Rival();
  /** What was last reported about an episode without a broker. */
  #reported: string | undefined;
  #cancelRetry: (() => void) | undefined;
  #stopped = false;
  #connects = 0;
  #attempts = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#order = shuffled([...options.urls.keys()], options.random);
    this.#index = this.#order[0] ?? 0;
  }

  start(): void {
    this.#attempt();
  }

  /** The broker in use, without credentials; null while there is none. */
  get broker(): string | null {
    return this.#connectedAtMs === undefined ? null : this.label(this.#index);
  }

  get reconnects(): number {
    return Math.max(0, this.#connects - 1);
  }

  /** Begun so far. */
  get attempts(): number {
    return this.#attempts;
  }

  /** A broker for people. */
  label(index: number): string {
    const { protocol, host } = new URL(this.#url(index));
    return `${protocol}//${host}`;
  }

  /** Goes to another broker if it answers; else everything stays as it is. */
  move(index: number): void {
    if (this.#connectedAtMs === undefined || this.#candidate !== undefined || index === this.#index) return;
    const client = this.#open(index, {
      up: () => void this.#change(client, index),
      down: (failure) => {
        if (this.#candidate?.client === client) this.#giveUp(index, failure);
        else this.#down(client, failure);
      },
    });
    this.#candidate = { client, index };
  }

  /** Leaves the broker for the next one as soon as there is nothing more to wait for. */
  async leave(): Promise<void> {
    if (this.#candidate !== undefined) return;
    await this.#depart(() => {
      this.#failures = 0;
      this.#index = this.#following(this.#index);
    });
  }

  /** Gives the connection up as if it had been lost. */
  abandon(failure: Failure): void {
    const client = this.#client;
    if (client === undefined) return;
    discard(client);
    this.#down(client, failure);
  }

  /** Leaves the broker and connects to it anew, for there is another identity. */
  async renew(): Promise<void> {
    await this.#depart(() => {});
  }

  /** @param turn says, when it is gone, which broker is next */
  async #depart(turn: () => void): Promise<void> {
    const client = this.#client;
    if (client === undefined || this.#connectedAtMs === undefined) return;
    await this.#options.leaving();
    // Meanwhile it may have been lost or left by another way.
    if (this.#client !== client || this.#stopped) return this.#options.staying();
    this.#dropCandidate();
    this.#client = undefined;
    this.#connectedAtMs = undefined;
    this.#options.disconnected();
    await this.#sayGoodbye(client);
    if (this.#stopped) return;
    turn();
    this.#attempt();
  }

  /** Says goodbye to the broker; what is still in flight is no longer waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#dropCandidate();
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await this.#sayGoodbye(client);
  }

  #url(index: number): string {
    return this.#options.urls[index] ?? "";
  }

  #open(index: number, events: { up: () => void; down: (failure: Failure) => void }): BrokerClient {
    const { identity, will } = this.#options;
    return openClient(this.#url(index), identity(), will(), events);
  }

  #attempt(): void {
    this.#attempts += 1;
    const client = this.#open(this.#index, {
      up: () => this.#up(),
      down: (failure) => this.#down(client, failure),
    });
    this.#client = client;
  }

  #up(): void {
    const client = this.#client;
    if (client === undefined) return;
    this.#connectedAtMs = this.#options.clock.monotonicMs();
    this.#connects += 1;
    this.#reported = undefined;
    this.#options.logger.info({ event: "connected", broker: this.broker }, "connected to the broker");
    this.#options.connected(client, this.#index);
  }

  /** The candidate is connected: it takes over as soon as the one in use has nothing more to say. */
  async #change(client: BrokerClient, index: number): Promise<void> {
    await this.#options.leaving();
    // Meanwhile either of the two may have been lost, or this one stopped.
    if (this.#candidate?.client !== client) return this.#options.staying();
    const old = this.#client;
    this.#candidate = undefined;
    this.#client = client;
    this.#index = index;
    this.#options.disconnected();
    this.#up();
    if (old !== undefined) await this.#sayGoodbye(old);
  }

  #down(client: BrokerClient, failure: Failure): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    const { clock, random, maxBackoffMs, urls } = this.#options;
    const heldMs = this.#connectedAtMs === undefined ? 0 : clock.monotonicMs() - this.#connectedAtMs;
    const wasUp = this.#connectedAtMs !== undefined;
    this.#connectedAtMs = undefined;
    if (wasUp) this.#options.disconnected();
    if (this.#stopped) return;
    this.#failures = heldMs >= steadyMs ? 1 : this.#failures + 1;
    this.#report(wasUp ? this.#suspecting(failure) : failure);
    this.#index = this.#dropCandidate() ?? this.#following(this.#index);
    const round = Math.floor((this.#failures - 1) / urls.length);
    this.#cancelRetry = clock.after(backoffMs(round, maxBackoffMs, random), () => this.#attempt());
  }

  #suspecting({ code, reason }: Failure): Failure {
    const isHabit = this.#rival.lost(this.#options.clock.monotonicMs());
    if (!isHabit || code !== "EQ_BROKER_UNREACHABLE") return { code, reason };
    const { clientId } = this.#options.identity();
    return { code, reason: `${reason}, again and again: does a second client use the id ${clientId}?` };
  }

  #following(index: number): number {
    const place = this.#order.indexOf(index);
    return this.#order[(place + 1) % this.#order.length] ?? 0;
  }

  #giveUp(index: number, { code, reason }: Failure): void {
    this.#candidate = undefined;
    const broker = this.label(index);
    const error = new EquipoiseError(code, `${broker}: ${reason}`);
    this.#options.logger.warn({ event: "moveFailed", code, broker, reason }, error.line);
  }

  /** Gives up a move; returns where it was to go. */
  #dropCandidate(): number | undefined {
    const candidate = this.#candidate;
    this.#candidate = undefined;
    if (candidate !== undefined) discard(candidate.client);
    return candidate?.index;
  }

  async #sayGoodbye({ mqtt, lane }: BrokerClient): Promise<void> {
    // With something outgoing mqtt.js would wait for its acknowledgement without end.
    for (const id of Object.keys(mqtt.outgoing)) mqtt.removeOutgoingMessage(Number(id));
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(goodbyeMs, () => {
        lane.destroy();
        resolve();
      });
      mqtt.end(!mqtt.connected, () => {
        cancel();
        resolve();
      });
    });
  }

  /** Once per episode, and again when the kind of failure changes. */
  #report({ code, reason }: Failure): void {
    if (this.#reported === code) return;
    this.#reported = code;
    const broker = this.label(this.#index);
    const error = new EquipoiseError(code, `${broker}: ${reason}`);
    this.#options.logger.warn({ event: "disconnected", code, broker, reason }, error.line);
  }
}
