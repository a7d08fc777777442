/**
 * Keeps a connection to one of the brokers. Every attempt is a new mqtt.js client that never reconnects by itself, so
 * nothing of a lost connection lives on in its stores: what was in flight is ours to send again.
 */
import { type Clock, EquipoiseError, type Logger, reasonOf, sendAtOnce, systemCode } from "@equipoise/shared";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { backoffMs } from "../backoff.ts";

export interface ConnectionOptions {
  urls: readonly string[];
  clientId: string;
  username: string | undefined;
  password: string | undefined;
  maxBackoffMs: number;
  /** Topic and payload of the last will, asked for at every attempt. */
  will: () => { topic: string; payload: string };
  clock: Clock;
  random: () => number;
  logger: Logger;
  /** A connection is up; what was in flight on the one before is forgotten by the library. */
  connected: (client: MqttClient) => void;
  disconnected: () => void;
}

const connectTimeoutMs = 10_000;
const keepaliveSeconds = 15;
/** A broker that does not even read the goodbye is left without it. */
const goodbyeMs = 1_000;
/** A connection that held this long was a good one: the backoff begins anew. */
const steadyMs = 5_000;

export class Connection {
  readonly #options: ConnectionOptions;
  #client: MqttClient | undefined;
  #connectedAtMs: number | undefined;
  #failures = 0;
  #next = 0;
  /** What was last reported about an episode without a broker. */
  #reported: string | undefined;
  #cancelRetry: (() => void) | undefined;
  #stopped = false;
  #connects = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#attempt();
  }

  /** The broker in use, without credentials; null while there is none. */
  get broker(): string | null {
    return this.#connectedAtMs === undefined ? null : this.#url(this.#next).label;
  }

  get reconnects(): number {
    return Math.max(0, this.#connects - 1);
  }

  /** Says goodbye to the broker; what is still in flight is no longer waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry?.();
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    // With something outgoing mqtt.js would wait for its acknowledgement without end.
    for (const id of Object.keys(client.outgoing)) client.removeOutgoingMessage(Number(id));
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(goodbyeMs, () => {
        client.stream.destroy();
        resolve();
      });
      client.end(!client.connected, () => {
        cancel();
        resolve();
      });
    });
  }

  #url(index: number): { url: string; label: string } {
    const url = this.#options.urls[index % this.#options.urls.length] ?? "";
    const { protocol, host } = new URL(url);
    return { url, label: `${protocol}//${host}` };
  }

  #attempt(): void {
    const client = mqtt.connect(this.#url(this.#next).url, this.#clientOptions());
    sendAtOnce(client.stream);
    this.#client = client;
    let reason = "the connection was closed";
    let refused = false;
    client.on("connect", () => this.#up(client));
    client.on("error", (error) => {
      reason = reasonOf(error) || (systemCode(error) ?? "unknown");
      refused = isRefusal(error);
    });
    client.once("close", () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      client.end(true);
      this.#down(refused ? "EQ_BROKER_REFUSED" : "EQ_BROKER_UNREACHABLE", reason);
    });
  }

  #clientOptions(): IClientOptions {
    const { clientId, username, password } = this.#options;
    const will = this.#options.will();
    return {
      clientId,
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: connectTimeoutMs,
      keepalive: keepaliveSeconds,
      queueQoSZero: false,
      will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: false },
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }

  #up(client: MqttClient): void {
    this.#connectedAtMs = this.#options.clock.monotonicMs();
    this.#connects += 1;
    this.#reported = undefined;
    this.#options.logger.info({ event: "connected", broker: this.broker }, "connected to the broker");
    this.#options.connected(client);
  }

  #down(code: "EQ_BROKER_UNREACHABLE" | "EQ_BROKER_REFUSED", reason: string): void {
    const { clock, random, maxBackoffMs, urls } = this.#options;
    const heldMs = this.#connectedAtMs === undefined ? 0 : clock.monotonicMs() - this.#connectedAtMs;
    const wasUp = this.#connectedAtMs !== undefined;
    this.#connectedAtMs = undefined;
    if (wasUp) this.#options.disconnected();
    if (this.#stopped) return;
    this.#failures = heldMs >= steadyMs ? 1 : this.#failures + 1;
    this.#report(code, reason);
    this.#next = (this.#next + 1) % urls.length;
    const round = Math.floor((this.#failures - 1) / urls.length);
    const delayMs = backoffMs(round, maxBackoffMs, random);
    this.#cancelRetry = clock.after(delayMs, () => this.#attempt());
  }

  /** Once per episode, and again when the kind of failure changes. */
  #report(code: "EQ_BROKER_UNREACHABLE" | "EQ_BROKER_REFUSED", reason: string): void {
    if (this.#reported === code) return;
    this.#reported = code;
    const broker = this.#url(this.#next).label;
    const error = new EquipoiseError(code, `${broker}: ${reason}`);
    this.#options.logger.warn({ event: "disconnected", code, broker, reason }, error.line);
  }
}

/** CONNACK with a return code other than 0 [MQTT-3.2.2-4]. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}
