/**
 * What both kinds of consumer are made of: messages of the link's current connection go through the workers to the
 * handler and are answered in the order they came. Whatever a lost connection had delivered and no worker had begun
 * is forgotten, for the broker delivers it again.
 */
import type { Clock } from "../clock.ts";
import { EquipoiseError, reasonOf } from "../errors.ts";
import { decodePayload } from "../payload.ts";
import type { TickRecord } from "../tick.ts";
import { topics } from "../topics.ts";
import { withinMs } from "../within.ts";
import { Connection, type ConnectionOptions, type IncomingMessage } from "./connection.ts";
import type { Consumer, ConsumerEvent, ConsumerStats, Finish, Handler } from "./consumer.ts";
import { Departure } from "./departure.ts";
import { HeartbeatSender } from "./heartbeat-sender.ts";
import { Link } from "./link.ts";
import { Load } from "./load.ts";
import { Repeats } from "./repeats.ts";
import { Workers } from "./workers.ts";

/** A broker that does not answer UNSUBSCRIBE is not waited for. */
const unsubscribeTimeoutMs = 1_000;
const maxReasonLength = 200;
/** Reading goes on when the queue has shrunk to this share, not to stop again at once. */
const resumeShare = 0.5;

export interface MemberSetup {
  urls: readonly string[];
  connection: ConnectionOptions;
  /** As it is subscribed to, with `$share/{pool}/`. */
  filter: string;
  handler: Handler;
  /** What is handled before a record, because it should have come before. */
  before?: (topic: string, record: TickRecord) => AsyncIterable<TickRecord>;
  /** Called when the consumer has stopped. */
  released?: () => void;
  concurrency: number;
  maxQueued: number;
  maxRemembered: number;
  weight: number | undefined;
  drainTimeoutMs: number;
  onEvent: (event: ConsumerEvent) => void;
  clock: Clock;
  random: () => number;
}

export class Member implements Consumer {
  readonly clientId: string;
  readonly #setup: MemberSetup;
  readonly #link: Link;
  readonly #workers: Workers<IncomingMessage>;
  readonly #repeats: Repeats;
  readonly #load = new Load();
  readonly #heartbeats: HeartbeatSender;
  readonly #counts = { received: 0, handled: 0, repeats: 0, rejected: 0 };
  /** Keeps the process alive between two attempts to connect. */
  #alive: NodeJS.Timeout | undefined;
  /** The latest connection; a persistent session delivers before `#joined`. */
  #connection: Connection | undefined;
  #joined = false;
  #draining = false;
  /** The connection that it is about to leave for another broker: what still comes there is left to that broker. */
  #leaving: Connection | undefined;
  #reportedReceived = 0;
  #stopping: Promise<void> | undefined;

  constructor(setup: MemberSetup) {
    const { urls, clock, random, concurrency, maxRemembered } = setup;
    this.#setup = setup;
    this.clientId = setup.connection.clientId;
    this.#repeats = new Repeats(maxRemembered);
    this.#workers = new Workers(concurrency, (message) => this.#work(message));
    this.#heartbeats = new HeartbeatSender({
      clock,
      random,
      busy: () => this.#held > 0 || this.#counts.received !== this.#reportedReceived,
      send: () => this.#sendHeartbeat(),
    });
    this.#link = new Link({
      urls,
      clock,
      random,
      join: (url, signal) => this.#join(url, signal),
      onJoined: ({ broker }) => this.#onJoined(broker),
      onLost: (broker, reason, retryInMs) =>
        setup.onEvent({ event: "disconnected", broker, reason, retryInMs }),
      onUnreachable: (broker, reason, retryInMs) =>
        setup.onEvent({ event: "unreachable", broker, reason, retryInMs }),
    });
  }

  get stats(): ConsumerStats {
    const { waiting: queued, running } = this.#workers;
    return { connected: this.#joined, ...this.#counts, queued, running };
  }

  async start(): Promise<void> {
    this.#alive = setInterval(() => {}, 2 ** 30);
    this.#load.start();
    this.#heartbeats.start();
    try {
      await this.#link.start();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async stop(finish: Finish = "held"): Promise<void> {
    this.#stopping ??= this.#drain(finish);
    await this.#stopping;
  }

  get #held(): number {
    return this.#workers.waiting + this.#workers.running;
  }

  async #join(url: string, signal: AbortSignal): Promise<Connection> {
    const { connection: options, filter } = this.#setup;
    const connection = await Connection.open(url, options, (...message) => this.#take(...message), signal);
    try {
      await connection.subscribe(filter, signal);
      this.#connection = connection;
      this.#joined = true;
      void connection.closed.then(() => this.#forget());
      if (this.#setup.urls.length > 1) this.#follow(connection);
      return connection;
    } catch (error) {
      this.#workers.close();
      connection.destroy();
      throw error;
    }
  }

  #follow(connection: Connection): void {
    const { clock, random } = this.#setup;
    const leave = (reason: string): void => void this.#move(connection, reason);
    const departure = new Departure({ clock, random, leave });
    connection.followBroker((load) => departure.heard(load));
    void connection.closed.then(() => departure.stop());
  }

  /** Finishes what it holds and disconnects; the link goes on with the next broker. */
  async #move(connection: Connection, reason: string): Promise<void> {
    if (this.#draining || this.#connection !== connection || this.#leaving === connection) return;
    this.#leaving = connection;
    this.#heartbeats.sendNow();
    connection.resume();
    await withinMs(this.#setup.clock, this.#setup.drainTimeoutMs, this.#workers.idle());
    if (!this.#draining) await this.#disconnect(connection, reason);
  }

  #onJoined(broker: string): void {
    this.#setup.onEvent({ event: "joined", broker, clientId: this.clientId, filter: this.#setup.filter });
    this.#heartbeats.sendNow();
    // Messages may have come with the very packet that granted the subscription.
    this.#workers.open();
  }

  /** The connection is gone. */
  #forget(): void {
    this.#joined = false;
    this.#workers.close();
  }

  /** Returns whether there is room for more. While draining, what comes is left to the broker. */
  #take(message: IncomingMessage, connection: Connection): boolean {
    if (this.#draining || connection === this.#leaving) return true;
    this.#connection = connection;
    this.#counts.received += 1;
    this.#workers.add(message);
    this.#heartbeats.observe(this.#held);
    const { waiting: queued } = this.#workers;
    if (queued < this.#setup.maxQueued) return true;
    this.#setup.onEvent({ event: "queueFull", queued });
    // What a persistent session has kept comes before the SUBACK, which would never be read behind a full queue.
    this.#workers.open();
    return false;
  }

  async #work(message: IncomingMessage): Promise<void> {
    const startedMs = this.#setup.clock.monotonicMs();
    try {
      await this.#handle(message);
      message.answer.acknowledge();
    } catch (error) {
      this.#reject(message, error);
    }
    this.#load.finished(this.#setup.clock.monotonicMs() - startedMs);
    this.#heartbeats.observe(this.#held);
    if (this.#workers.waiting <= this.#setup.maxQueued * resumeShare) this.#connection?.resume();
  }

  /** The records of one message are of one stream and are handled one after the other. */
  async #handle({ topic, payload, redelivered }: IncomingMessage): Promise<void> {
    const { before } = this.#setup;
    for (const record of decodePayload(payload)) {
      if (before !== undefined) {
        for await (const earlier of before(topic, record))
          await this.#handleOnce(earlier, topic, redelivered);
      }
      await this.#handleOnce(record, topic, redelivered);
    }
  }

  async #handleOnce(record: TickRecord, topic: string, redelivered: boolean): Promise<void> {
    const outcome = await this.#repeats.once(topic, record, async () => {
      await this.#setup.handler(record, { topic, redelivered });
    });
    this.#counts[outcome === "repeat" ? "repeats" : "handled"] += 1;
  }

  #reject({ topic, packetId, answer }: IncomingMessage, error: unknown): void {
    const code = error instanceof EquipoiseError ? error.code : "EQ_HANDLER_FAILED";
    const reason = `${code}: ${reasonOf(error)}`.slice(0, maxReasonLength);
    this.#counts.rejected += 1;
    this.#load.failed();
    answer.reject(reason);
    this.#setup.onEvent({ event: "rejected", topic, packetId, reason });
  }

  #sendHeartbeat(): void {
    if (!this.#joined) return;
    const { concurrency, maxQueued, weight } = this.#setup;
    this.#reportedReceived = this.#counts.received;
    const heartbeat = {
      state: this.#draining || this.#connection === this.#leaving ? "draining" : "up",
      queueDepth: this.#held,
      ...this.#load.report(),
      creditLimit: Math.min(65_535, concurrency + maxQueued),
      ...(weight === undefined ? {} : { weight }),
    };
    const topic = topics.memberHeartbeat(this.clientId);
    this.#connection?.publish(topic, JSON.stringify(heartbeat), 0);
  }

  async #drain(finish: Finish): Promise<void> {
    const { clock, drainTimeoutMs, onEvent } = this.#setup;
    this.#draining = true;
    if (finish === "running" || !this.#joined) this.#workers.discardWaiting();
    onEvent({ event: "draining", held: this.#held });
    this.#heartbeats.sendNow();
    this.#connection?.resume();
    await this.#link.stop();
    const idle = await withinMs(clock, drainTimeoutMs, this.#workers.idle());
    if (!idle) onEvent({ event: "drainTimedOut", unfinished: this.#held });
    await this.#leave();
    this.#release();
  }

  async #leave(): Promise<void> {
    const connection = this.#connection;
    if (connection !== undefined && this.#joined) await this.#disconnect(connection);
  }

  async #disconnect(connection: Connection, reason?: string): Promise<void> {
    const { connection: options, clock, filter } = this.#setup;
    connection.flush();
    if (options.clean) await withinMs(clock, unsubscribeTimeoutMs, connection.unsubscribe(filter));
    await connection.end(reason);
  }

  #release(): void {
    this.#setup.released?.();
    this.#workers.close();
    this.#heartbeats.stop();
    this.#load.stop();
    clearInterval(this.#alive);
  }
}
