/**
 * Publishes the buffer's ticks in order, QoS 1, a bounded number in flight. A tick leaves the buffer when its PUBACK
 * came; after a lost connection those in flight go out again, oldest first, before anything newer.
 */
import type { Clock, Logger } from "@equipoise/shared";
import type { MqttClient } from "mqtt";
import type { TickQueue } from "../buffer/queue.ts";
import { Connection } from "./connection.ts";
import { type InFlight, Window } from "./window.ts";

export interface UplinkOptions {
  agentId: string;
  urls: readonly string[];
  username: string | undefined;
  password: string | undefined;
  /** Most ticks in flight. */
  window: number;
  maxBackoffMs: number;
  will: () => { topic: string; payload: string };
  /** There is a new connection. */
  connected: () => void;
  queue: TickQueue;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
}

export interface UplinkStats {
  connected: boolean;
  broker: string | null;
  inFlight: number;
  /** Distinct ticks sent at least once. */
  published: number;
  /** Sent again after a lost connection. */
  repeated: number;
  acknowledged: number;
  reconnects: number;
  oldestBufferedTimeMs: number | null;
}

const atLeastOnce = { qos: 1 } as const;
const retained = { qos: 0, retain: true } as const;
const lastPeriodMs = 1_000;

export class Uplink {
  readonly #options: UplinkOptions;
  readonly #connection: Connection;
  readonly #window: Window;
  #client: MqttClient | undefined;
  #pumpScheduled = false;
  #draining = false;
  #published = 0;
  #repeated = 0;
  #acknowledged = 0;
  #cancelLast: (() => void) | undefined;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  #drainWaiters: { done: () => boolean; resolve: () => void }[] = [];

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#window = new Window(options.window);
    this.#connection = new Connection({
      ...options,
      clientId: options.agentId,
      connected: (client) => this.#begin(client),
      disconnected: () => {
        this.#client = undefined;
      },
    });
  }

  /** Returns at once; a broker that is away is waited for. */
  start(): void {
    this.#options.queue.onReadable(() => this.#schedulePump());
    this.#cancelLast = this.#options.clock.every(lastPeriodMs, () => this.#publishLast());
    this.#connection.start();
  }

  stats(): UplinkStats {
    return {
      connected: this.#client !== undefined,
      broker: this.#connection.broker,
      inFlight: this.#window.size,
      published: this.#published,
      repeated: this.#repeated,
      acknowledged: this.#acknowledged,
      reconnects: this.#connection.reconnects,
      oldestBufferedTimeMs: this.#window.oldest()?.bufferedTimeMs ?? null,
    };
  }

  /** Resolves when everything in the buffer is acknowledged. */
  drained(): Promise<void> {
    return this.#when(() => this.#window.size === 0 && this.#options.queue.isEmpty());
  }

  /** Takes no more from the buffer; resolves when nothing is in flight, or after `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    if (this.#client === undefined) return;
    let cancel = (): void => undefined;
    const timeout = new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(timeoutMs, resolve);
    });
    await Promise.race([this.#when(() => this.#window.size === 0), timeout]);
    cancel();
    if (this.#options.clock.monotonicMs() - this.#lastSentMs >= lastPeriodMs) this.#publishLast();
  }

  /** Sends a status without acknowledgement; it is lost while there is no connection. */
  publishStatus(topic: string, payload: string): void {
    this.#client?.publish(topic, payload);
  }

  async stop(): Promise<void> {
    this.#cancelLast?.();
    await this.#connection.stop();
  }

  #begin(client: MqttClient): void {
    this.#client = client;
    this.#options.connected();
    const again = this.#window.unacknowledged();
    this.#repeated += again.length;
    for (const entry of again) this.#send(client, entry);
    this.#pump();
  }

  /** After all acknowledgements of a turn, so that what they make room for leaves in one write. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    setImmediate(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    const client = this.#client;
    if (client === undefined || this.#draining) return;
    while (this.#window.hasRoom()) {
      const tick = this.#options.queue.take();
      if (tick === undefined) return;
      this.#published += 1;
      this.#send(client, this.#window.add(tick));
    }
  }

  #send(client: MqttClient, entry: InFlight): void {
    const { stream, payload } = entry.tick;
    client.publish(stream.topic, payload, atLeastOnce, (error) => {
      // An error here means that the connection is gone; a late answer of an earlier one means nothing any more.
      if (!error && client === this.#client) this.#acknowledge(entry);
    });
  }

  #acknowledge(entry: InFlight): void {
    this.#acknowledged += 1;
    const settled = this.#window.acknowledge(entry);
    if (settled === undefined) return;
    this.#options.queue.settle(settled);
    this.#schedulePump();
    if (this.#drainWaiters.length > 0) this.#checkDrained();
  }

  #publishLast(): void {
    const client = this.#client;
    if (client === undefined) return;
    for (const { stream, payload } of this.#options.queue.takeNewest()) {
      client.publish(stream.lastTopic, payload, retained);
      this.#lastSentMs = this.#options.clock.monotonicMs();
    }
  }

  #when(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push({ done, resolve }));
  }

  #checkDrained(): void {
    this.#drainWaiters = this.#drainWaiters.filter(({ done, resolve }) => {
      if (done()) resolve();
      return !done();
    });
  }
}
