/**
 * The way to the brokers: a connection to one of them, the publisher on it, and with several brokers the decision to
 * move to another one.
 */
import {
  type Clock,
  EquipoiseError,
  Heard,
  type Logger,
  parseTopic,
  type TlsOptions,
  topics,
  withinMs,
} from "@equipoise/shared";
import type { MqttClient } from "mqtt";
import type { TickQueue } from "../buffer/queue.ts";
import type { BrokerClient, Identity, Will } from "./broker-client.ts";
import { Connection } from "./connection.ts";
import { Mover } from "./mover.ts";
import { observe } from "./observation.ts";
import type { PayloadForm } from "./payload.ts";
import { Publisher, type PublisherStats } from "./publisher.ts";

export interface UplinkOptions {
  agentId: string;
  urls: readonly string[];
  username: string | undefined;
  password: string | undefined;
  /** Of this moment. */
  tls: () => TlsOptions;
  /** Most messages in flight. */
  window: number;
  lingerMs: number;
  maxBatch: number;
  payload: PayloadForm;
  keepaliveS: number;
  /** How long a broker may acknowledge nothing at all. */
  ackTimeoutMs: number;
  maxBackoffMs: number;
  will: () => Will;
  /** There is a new connection, and what is subscribed is heard on it. */
  connected: () => void;
  queue: TickQueue;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
}

export interface UplinkStats extends PublisherStats {
  connected: boolean;
  broker: string | null;
  reconnects: number;
  /** To connect, begun so far. */
  attempts: number;
}

const retained = { qos: 0, retain: true } as const;
const lastPeriodMs = 1_000;
const lookPeriodMs = 1_000;
/** A broker that is left has this long to acknowledge what it has; the rest is repeated at the next one. */
const leavingMs = 1_000;
/** A broker that does not answer a SUBSCRIBE gets the ticks all the same. */
const hearingMs = 1_000;

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #connection: Connection;
  readonly #publisher: Publisher;
  /** Absent where there is only one broker. */
  readonly #mover: Mover | undefined;
  readonly #stop = new AbortController();
  readonly #subscriptions = new Map<string, (topic: string, payload: Buffer) => void>();
  /** What fails the messages that wait for their PUBACK. */
  readonly #unanswered = new Set<() => void>();
  #client: MqttClient | undefined;
  #cancelLast: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;
  #lastSentMs = Number.NEGATIVE_INFINITY;

  constructor(options: UplinkOptions) {
    const { urls } = options;
    this.#options = options;
    this.#publisher = new Publisher(options);
    this.#connection = new Connection({
      ...options,
      identity: () => this.#identity(),
      connected: (client, index) => this.#begin(client, index),
      leaving: () => this.#publisher.pause(leavingMs),
      staying: () => this.#publisher.resume(),
      disconnected: () => this.#end(),
    });
    this.#mover = urls.length > 1 ? this.#createMover() : undefined;
  }

  /** Returns at once; a broker that is away is waited for. */
  start(): void {
    this.#publisher.start();
    this.#cancelLast = this.#options.clock.every(lastPeriodMs, () => this.#publishLast());
    this.#cancelLook = this.#options.clock.every(lookPeriodMs, () => this.#abandonDeaf());
    this.#connection.start();
  }

  stats(): UplinkStats {
    const { broker, reconnects, attempts } = this.#connection;
    return {
      connected: this.#client !== undefined,
      broker,
      reconnects,
      attempts,
      ...this.#publisher.stats(),
    };
  }

  /** Resolves when everything in the buffer is acknowledged. */
  drained(): Promise<void> {
    return this.#publisher.drained();
  }

  /** Takes no more from the buffer; resolves when nothing is in flight, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#mover?.stop();
    await this.#publisher.close(timeoutMs);
    if (this.#options.clock.monotonicMs() - this.#lastSentMs >= lastPeriodMs) this.#publishLast();
  }

  /** Sends a status without acknowledgement; it is lost while there is no connection. */
  publishStatus(topic: string, payload: string): void {
    this.#client?.publish(topic, payload);
  }

  /** Subscribes on every connection, QoS 1. The handler gets every message of the connection. */
  subscribe(filter: string, handler: (topic: string, payload: Buffer) => void): void {
    this.#subscriptions.set(filter, handler);
    if (this.#client !== undefined) void this.#subscribe(this.#client, filter, handler);
  }

  /**
   * Publishes beside the ticks at QoS 1; resolves with its PUBACK.
   * @throws EquipoiseError EQ_BROKER_UNREACHABLE when there is no connection, or it is lost before
   */
  async send(topic: string, payload: string): Promise<void> {
    const client = this.#client;
    if (client === undefined) throw new EquipoiseError("EQ_BROKER_UNREACHABLE", "there is no connection");
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => {
        this.#unanswered.delete(fail);
        reject(new EquipoiseError("EQ_BROKER_UNREACHABLE", "the connection was lost before the PUBACK"));
      };
      this.#unanswered.add(fail);
      client.publish(topic, payload, { qos: 1 }, (error) => {
        if (error) return fail();
        this.#unanswered.delete(fail);
        resolve();
      });
    });
  }

  async stop(): Promise<void> {
    this.#cancelLast?.();
    this.#cancelLook?.();
    this.#mover?.stop();
    this.#stop.abort();
    await this.#connection.stop();
    // An answer that was still in the making would wait for its PUBACK without end: mqtt.js takes messages after its end.
    this.#end();
  }

  /** Connects anew to the same broker, with what the certificate files hold now. */
  renew(): Promise<void> {
    return this.#connection.renew();
  }

  #identity(): Identity {
    const { agentId: clientId, username, password, tls, keepaliveS } = this.#options;
    return { clientId, username, password, tls: tls(), keepaliveS };
  }

  #createMover(): Mover {
    const { urls, clock, random } = this.#options;
    return new Mover({
      brokers: urls.length,
      clock,
      random,
      observe: (index) => observe(urls[index] ?? "", this.#identity(), clock, this.#stop.signal),
      move: (index, reason) => this.#move(index, reason),
      leave: (reason) => this.#leave(reason),
    });
  }

  /** A broker that answers pings and has lost what it was sent would hold the ticks without end. */
  #abandonDeaf(): void {
    const reason = this.#publisher.lost();
    if (reason !== undefined) this.#connection.abandon({ code: "EQ_ACKS_MISSING", reason });
  }

  #leave(reason: string): void {
    const { broker: from } = this.#connection;
    this.#options.logger.info({ event: "moving", from, reason }, "moving to another broker of the cluster");
    void this.#connection.leave();
  }

  #move(index: number, reason: string): void {
    const [from, to] = [this.#connection.broker, this.#connection.label(index)];
    this.#options.logger.info({ event: "moving", from, to, reason }, "moving to another broker");
    this.#connection.move(index);
  }

  #begin({ mqtt: client, lane }: BrokerClient, index: number): void {
    this.#client = client;
    void this.#hear(client).then(() => {
      if (client !== this.#client) return;
      this.#publisher.attach(lane);
      this.#options.connected();
    });
    const mover = this.#mover;
    if (mover === undefined) return;
    mover.connected(index);
    this.#listen(client, mover);
  }

  /** Whoever has a tick of this connection can ask for more: ticks wait for the answers to what is subscribed. */
  async #hear(client: MqttClient): Promise<void> {
    const answers = [...this.#subscriptions].map((subscription) => this.#subscribe(client, ...subscription));
    await withinMs(this.#options.clock, hearingMs, Promise.all(answers));
  }

  /** Resolves when the broker has answered. */
  #subscribe(
    client: MqttClient,
    filter: string,
    handler: (topic: string, payload: Buffer) => void,
  ): Promise<void> {
    client.on("message", (topic, payload) => {
      if (client === this.#client) handler(topic, payload);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    client.subscribe(filter, { qos: 1 }, (error, grants = []) => {
      resolve();
      if (client !== this.#client || (!error && grants.every(({ qos }) => qos < 128))) return;
      const { broker } = this.#connection;
      this.#options.logger.warn({ event: "subscriptionRefused", broker, filter }, "requests are not heard");
    });
    return promise;
  }

  /** To the broker's own heartbeats. */
  #listen(client: MqttClient, mover: Mover): void {
    const heard = new Heard(this.#options.clock);
    client.on("message", (topic, payload, { retain }) => {
      if (client !== this.#client || parseTopic(topic).kind !== "brokerHeartbeat") return;
      heard.note(payload, retain);
      if (heard.load !== undefined) mover.heard(heard.load);
    });
    client.subscribe(topics.everyBrokerHeartbeat(), { qos: 0 }, (error) => {
      if (!error || client !== this.#client) return;
      this.#options.logger.warn({ event: "heartbeatsRefused", broker: this.#connection.broker });
    });
  }

  #end(): void {
    this.#client = undefined;
    for (const fail of this.#unanswered) fail();
    this.#publisher.detach();
    this.#mover?.disconnected();
  }

  #publishLast(): void {
    const client = this.#client;
    if (client === undefined) return;
    for (const { stream, payload } of this.#options.queue.takeNewest()) {
      client.publish(stream.lastTopic, payload, retained);
      this.#lastSentMs = this.#options.clock.monotonicMs();
    }
  }
}
