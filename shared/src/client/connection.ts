/**
 * One MQTT connection of a consumer, on mqtt.js; a new one is a new client, so nothing of the old one is ever resent.
 *
 * mqtt.js handles one message at a time, acknowledges it by itself when `handleMessage` calls back, and reads nothing
 * meanwhile, not even the answer to its own ping. So the callback is called at once, with an error, which is what
 * keeps mqtt.js from acknowledging; PUBACKs are written here when the handlers have finished. While reading is held
 * on purpose, the callback is kept back and the pings are sent from here, for their answers cannot be seen.
 */
import {
  connect,
  type ErrorWithReasonCode,
  type IClientOptions,
  type IPublishPacket,
  type MqttClient,
} from "mqtt";
import { withoutCredentials } from "../broker-url.ts";
import type { Clock } from "../clock.ts";
import { EquipoiseError, reasonOf } from "../errors.ts";
import type { BrokerLoad } from "../flow.ts";
import { Heard } from "../heard.ts";
import { sendAtOnce } from "../no-delay.ts";
import { Silence } from "../silence.ts";
import { closedReason, isTlsFailure, type TlsOptions, type TlsSource, tlsNow } from "../tls.ts";
import { topics } from "../topics.ts";
import { Acknowledger, type OwedAnswer } from "./acknowledger.ts";

/** Longest time for CONNECT to be answered. */
const connectTimeoutMs = 10_000;
/** Longest wait for the answers to what was sent last, before the connection is cut. */
const endTimeoutMs = 2_000;
const serverUnavailable = 3;
/** Type 4, no flags, remaining length 2. */
const pubackHeader = 0x4002;

export interface ConnectionOptions {
  clientId: string;
  /** False: the broker keeps the subscription and what it could not deliver, for the next connection. */
  clean: boolean;
  keepaliveS: number;
  username?: string | undefined;
  password?: string | undefined;
  tls?: TlsSource | undefined;
  clock: Clock;
}

export interface IncomingMessage {
  topic: string;
  payload: Buffer;
  /** Absent for QoS 0. */
  packetId: number | undefined;
  redelivered: boolean;
  answer: OwedAnswer;
}

/** Returns whether there is room for more. */
export type Take = (message: IncomingMessage, connection: Connection) => boolean;

export class Connection {
  /** The broker's address without credentials. */
  readonly broker: string;
  /** Resolves with the reason when the connection is gone. */
  readonly closed: Promise<string>;
  readonly #client: MqttClient;
  readonly #options: ConnectionOptions;
  readonly #acknowledger: Acknowledger;
  #open = true;
  #endReason: string | undefined;
  /** Whoever wants to know how the broker is. */
  #onLoad: ((load: BrokerLoad) => void) | undefined;
  readonly #heard: Heard;
  #held: { go: () => void; stopPings: () => void } | undefined;

  private constructor(client: MqttClient, url: string, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    this.#heard = new Heard(options.clock);
    this.broker = withoutCredentials(url);
    const rejectTopic = topics.reject(options.clientId);
    this.#acknowledger = new Acknowledger({
      acknowledge: (packetIds) => this.#acknowledge(packetIds),
      reject: (packetId, reason) => this.publish(rejectTopic, JSON.stringify({ packetId, reason }), 1),
    });
    this.closed = new Promise((resolve) => {
      let accepted = false;
      let reason: string | undefined;
      client.once("connect", () => {
        accepted = true;
      });
      client.on("error", (error) => {
        reason = reasonOf(error);
        client.stream.destroy();
      });
      client.once("close", () => {
        this.#open = false;
        this.#held?.stopPings();
        resolve(reason ?? this.#endReason ?? closedReason(url, accepted));
      });
    });
  }

  /**
   * Connects and resolves when the broker has accepted.
   * @param take gets every message, also those that come before this resolves; while it returns false reading is held
   * @throws EquipoiseError EQ_BROKER_UNREACHABLE, EQ_BROKER_REFUSED, EQ_BROKER_UNTRUSTED, EQ_TLS_UNUSABLE
   */
  static async open(
    url: string,
    options: ConnectionOptions,
    take: Take,
    signal: AbortSignal,
  ): Promise<Connection> {
    const client = connected(url, options);
    sendAtOnce(client.stream);
    const connection = new Connection(client, url, options);
    client.handleMessage = (packet, callback) =>
      connection.#take(packet, () => callback(answeredLater), take);
    await connection.#unless(signal, () => connection.#accepted());
    return connection;
  }

  /** @throws EquipoiseError EQ_SUBSCRIBE_REFUSED; EQ_BROKER_UNREACHABLE when the connection is lost meanwhile */
  async subscribe(filter: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#unless(signal, () => this.#client.subscribeAsync(filter, { qos: 1 }));
    } catch (error) {
      if (this.#open) throw new EquipoiseError("EQ_SUBSCRIBE_REFUSED", `${filter} at ${this.broker}`);
      throw new EquipoiseError("EQ_BROKER_UNREACHABLE", this.broker, { cause: error });
    }
  }

  /** Calls back with each heartbeat of the broker; never where it does not let this client hear them. */
  followBroker(onLoad: (load: BrokerLoad) => void): void {
    this.#onLoad = onLoad;
    // Refused, or lost meanwhile: there is nothing to follow then, and `closed` tells of the latter.
    this.#client.subscribe(brokerHeartbeats, { qos: 0 }, () => {});
  }

  /** Resolves also when the connection is lost meanwhile, which has the same effect. */
  async unsubscribe(filter: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#client.unsubscribe(filter, () => resolve());
    });
  }

  /** Sends every answer that is due now. */
  flush(): void {
    this.#acknowledger.flush();
  }

  /** Sends a message; without a connection it is dropped, for everything sent from here concerns this one only. */
  publish(topic: string, payload: string, qos: 0 | 1): void {
    if (!this.#open) return;
    // A publish that fails has lost its connection, and `closed` tells that.
    this.#client.publish(topic, payload, { qos }, () => {});
  }

  /** Goes on reading after `take` had returned false. */
  resume(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.stopPings();
    held?.go();
  }

  /**
   * Disconnects after what was published has been acknowledged, or after two seconds.
   * @param reason for `closed`
   */
  async end(reason?: string): Promise<void> {
    if (!this.#open) return;
    this.#endReason = reason;
    const cancel = this.#options.clock.after(endTimeoutMs, () => this.destroy());
    this.#client.end();
    await this.closed;
    cancel();
  }

  destroy(): void {
    this.#client.stream.destroy();
  }

  async #accepted(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#client.once("connect", () => resolve());
      this.#client.once("error", (error) => reject(connectError(this.broker, error)));
      void this.closed.then((reason) => reject(connectError(this.broker, new Error(reason))));
    });
  }

  /** Cuts the connection, which fails the work, when the signal comes first. */
  async #unless(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
    const cut = (): void => this.destroy();
    signal.addEventListener("abort", cut);
    try {
      await work();
    } finally {
      signal.removeEventListener("abort", cut);
    }
  }

  #acknowledge(packetIds: readonly number[]): void {
    if (!this.#open) return;
    const frames = Buffer.allocUnsafe(packetIds.length * 4);
    for (const [index, packetId] of packetIds.entries()) {
      frames.writeUInt16BE(pubackHeader, index * 4);
      frames.writeUInt16BE(packetId, index * 4 + 2);
    }
    this.#client.stream.write(frames);
  }

  #take(packet: IPublishPacket, go: () => void, take: Take): void {
    const { topic, payload, qos, messageId, dup, retain } = packet;
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    if (this.#onLoad !== undefined && qos === 0 && topic.startsWith(brokerHeartbeatStart)) {
      this.#hear(bytes, retain, this.#onLoad);
      return go();
    }
    const packetId = qos === 0 ? undefined : messageId;
    const answer = this.#acknowledger.expect(packetId);
    const goOn = take({ topic, payload: bytes, packetId, redelivered: dup, answer }, this);
    if (goOn || !this.#open) go();
    else this.#hold(go);
  }

  #hear(payload: Buffer, retained: boolean, onLoad: (load: BrokerLoad) => void): void {
    this.#heard.note(payload, retained);
    const { load } = this.#heard;
    if (load !== undefined) onLoad(load);
  }

  #hold(go: () => void): void {
    const keepaliveMs = this.#options.keepaliveS * 1_000;
    this.#client.reschedulePing(true);
    const stopPings = this.#options.clock.every(keepaliveMs / 3, () => {
      this.#client.sendPing();
      this.#client.reschedulePing(true);
    });
    this.#held = { go, stopPings };
  }
}

const brokerHeartbeats = topics.everyBrokerHeartbeat();
const brokerHeartbeatStart = brokerHeartbeats.slice(0, -1);

/** Its own, from `debug`, puts its arguments together even when nobody listens. */
const notLogged = (): void => {};

const answeredLater = new Error("the PUBACK follows when the handler has finished");

function connected(url: string, options: ConnectionOptions): MqttClient {
  const tls = tlsNow(options.tls);
  try {
    return connect(url, mqttOptions(options, tls));
  } catch (error) {
    // Keys and certificates are read before anything else happens.
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `tls: ${reasonOf(error)}`, { cause: error });
  }
}

function mqttOptions(
  { clientId, clean, keepaliveS, username, password, clock }: ConnectionOptions,
  tls: TlsOptions | undefined,
): IClientOptions {
  return {
    protocolVersion: 4,
    clientId,
    clean,
    keepalive: keepaliveS,
    timerVariant: new Silence(clock),
    connectTimeout: connectTimeoutMs,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    log: notLogged,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
  };
}

function connectError(broker: string, error: Error): EquipoiseError {
  const { code } = error as Partial<ErrorWithReasonCode>;
  const refused = typeof code === "number" && code !== serverUnavailable;
  const others = isTlsFailure(error) ? "EQ_BROKER_UNTRUSTED" : "EQ_BROKER_UNREACHABLE";
  const detail = `${broker}: ${reasonOf(error)}`;
  return new EquipoiseError(refused ? "EQ_BROKER_REFUSED" : others, detail, { cause: error });
}
