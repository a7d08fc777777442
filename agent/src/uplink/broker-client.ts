/**
 * One attempt at one broker: a new mqtt.js client that never reconnects by itself, so nothing of a lost connection lives
 * on in its stores.
 */
import {
  closedReason,
  isTlsFailure,
  reasonOf,
  sendAtOnce,
  silenceTimer,
  systemCode,
  type TlsOptions,
} from "@equipoise/shared";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { NoStore } from "./no-store.ts";

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
  code: "EQ_BROKER_UNREACHABLE" | "EQ_BROKER_REFUSED" | "EQ_BROKER_UNTRUSTED";
  reason: string;
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
): MqttClient {
  const client = mqtt.connect(url, clientOptions(identity, will));
  sendAtOnce(client.stream);
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
  return client;
}

/** Without a word, as far as this side is concerned; `down` is not called any more. */
export function discard(client: MqttClient): void {
  client.end(true);
  client.stream.destroy();
}

function clientOptions(identity: Identity, will?: Will): IClientOptions {
  const { clientId, username, password, tls, keepaliveS } = identity;
  return {
    clientId,
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    connectTimeout: connectTimeoutMs,
    keepalive: keepaliveS,
    timerVariant: silenceTimer,
    queueQoSZero: false,
    outgoingStore: new NoStore(),
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
