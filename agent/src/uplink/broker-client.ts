/**
 * One attempt at one broker: a new mqtt.js client that never reconnects by itself, so nothing of a lost connection lives
 * on in its stores.
 */

import type { Duplex } from "node:stream";
import {
  closedReason,
  isTlsFailure,
  reasonOf,
  Silence,
  sendAtOnce,
  systemClock,
  systemCode,
  type TlsOptions,
} from "@equipoise/shared";
import mqtt, { type IClientOptions, type MqttClient, type StreamBuilder } from "mqtt";
import { Lane } from "./lane.ts";
import { ControlIds } from "./packet-ids.ts";

export interface Identity {
  clientId: string;
  username: string | undefined;
  password: string | undefined;
  tls: TlsOptions;
  keepaliveS: number;
}

export interface Will {
  topic: string;
  payload: string;
}

/** Why there is no connection. */
export interface Failure {
  code: "EQ_BROKER_UNREACHABLE" | "EQ_BROKER_REFUSED" | "EQ_BROKER_UNTRUSTED" | "EQ_ACKS_MISSING";
  reason: string;
}

export interface BrokerClient {
  /** For everything but the ticks. */
  readonly mqtt: MqttClient;
  readonly lane: Lane;
}

export interface BrokerClientEvents {
  up: () => void;
  /** The connection is gone, or never was; not after it was ended from here. */
  down: (failure: Failure) => void;
}

const connectTimeoutMs = 10_000;

/** Begins to connect. */
export function openClient(
  url: string,
  identity: Identity,
  will: Will | undefined,
  { up, down }: BrokerClientEvents,
): BrokerClient {
  const silence = new Silence(systemClock);
  const client = mqtt.connect(url, clientOptions(identity, silence, will));
  const lane = connectThrough(client, silence);
  let accepted = false;
  let failure: Failure | undefined;
  client.once("connect", () => {
    accepted = true;
    up();
  });
  client.on("error", (error) => {
    failure = failureOf(error);
    // A handshake that fails leaves the socket open.
    client.stream.destroy();
  });
  client.once("close", () => {
    if (client.disconnecting) return;
    client.end(true);
    down(failure ?? { code: "EQ_BROKER_UNREACHABLE", reason: closedReason(url, accepted) });
  });
  return { mqtt: client, lane };
}

/** Connects with a lane between mqtt.js and the stream that it makes of the URL, in its own way. */
function connectThrough(client: MqttClient, silence: Silence): Lane {
  const maker = client as unknown as { streamBuilder: StreamBuilder };
  const make = maker.streamBuilder;
  let lane: Lane | undefined;
  maker.streamBuilder = (...parts) => {
    const wire = make(...parts) as Duplex;
    sendAtOnce(wire);
    lane = new Lane(wire, () => silence.heard());
    return lane;
  };
  client.connect();
  if (lane === undefined) throw new Error("mqtt.js has not made its stream where it did");
  return lane;
}

/** Without a word, as far as this side is concerned; `down` is not called any more. */
export function discard({ mqtt, lane }: BrokerClient): void {
  mqtt.end(true);
  lane.destroy();
}

/** Its own, from `debug`, puts its arguments together even when nobody listens. */
const notLogged = (): void => {};

function clientOptions(identity: Identity, silence: Silence, will?: Will): IClientOptions {
  const { clientId, username, password, tls, keepaliveS } = identity;
  return {
    clientId,
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: connectTimeoutMs,
    keepalive: keepaliveS,
    timerVariant: silence,
    queueQoSZero: false,
    messageIdProvider: new ControlIds(),
    log: notLogged,
    // It waits for its lane.
    manualConnect: true,
    ...(will === undefined
      ? {}
      : { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: false } }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
  };
}

function failureOf(error: unknown): Failure {
  const reason = reasonOf(error) || (systemCode(error) ?? "unknown");
  if (isRefusal(error)) return { code: "EQ_BROKER_REFUSED", reason };
  return { code: isTlsFailure(error) ? "EQ_BROKER_UNTRUSTED" : "EQ_BROKER_UNREACHABLE", reason };
}

/** CONNACK with a return code other than 0 [MQTT-3.2.2-4]. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}
