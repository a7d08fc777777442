/** The contract of the consumer helper: what an application gives it and what it gets back. */
import type { Clock } from "../clock.ts";
import type { TickRecord } from "../tick.ts";
import type { TlsSource } from "../tls.ts";

/** Where a record came from. */
export interface RecordContext {
  topic: string;
  /** The broker marked this delivery as a repeated one (DUP). */
  redelivered: boolean;
}

/**
 * The application's work on one record. The message is acknowledged after every record in it has been handled; when
 * one fails, the message goes back to the broker for its next attempt.
 */
export type Handler = (record: TickRecord, context: RecordContext) => Promise<void> | void;

export interface ConsumerOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`; of several the first is preferred at the start, the others are next. */
  broker: string | readonly string[];
  filter: string;
  handler: Handler;
  /** Default: a random one. It must be unique at the broker. */
  clientId?: string;
  username?: string;
  password?: string;
  /** A function is called for each connection; what it throws is an attempt that failed. See {@link readTlsFiles}. */
  tls?: TlsSource;
  /** Longest silence on the connection, in seconds. Default 30. */
  keepaliveS?: number;
  /** Most messages that wait for the handler; when full, reading pauses (`backpressure`). Default 1,024. */
  maxQueued?: number;
  /** How many handled records are remembered at least, so that their repeats are dropped. Default 100,000. */
  maxRemembered?: number;
  /** Told in the heartbeat, for pools with the strategy `weighted` or `key_affinity`; 1 without it. */
  weight?: number;
  /** How long `stop` waits for the handlers before it leaves the rest to the broker. Default 20,000. */
  drainTimeoutMs?: number;
  onEvent?: (event: ConsumerEvent) => void;
  clock?: Clock;
  random?: () => number;
}

/** What an operator would ask about; each happens in this order at most: joined, then any, then draining. */
export type ConsumerEvent =
  | { event: "joined"; broker: string; clientId: string; filter: string }
  | { event: "disconnected"; broker: string; reason: string; retryInMs: number }
  | { event: "unreachable"; broker: string; reason: string; retryInMs: number }
  | { event: "rejected"; topic: string; packetId: number | undefined; reason: string }
  | { event: "resent"; topic: string; fromSeq: number; toSeq: number; records: number }
  | { event: "resendFailed"; topic: string; fromSeq: number; toSeq: number; reason: string }
  | { event: "queueFull"; queued: number }
  | { event: "draining"; held: number }
  | { event: "drainTimedOut"; unfinished: number };

export interface ConsumerStats {
  connected: boolean;
  /** Messages taken from the broker. */
  received: number;
  /** Records that the handler has finished. */
  handled: number;
  /** Records dropped because this consumer had handled them before. */
  repeats: number;
  /** Messages given back because they could not be decoded or the handler failed. */
  rejected: number;
  /** Messages that wait for a handler now. */
  queued: number;
  /** Messages in a handler now. */
  running: number;
}

/** What `stop` finishes: every message this consumer holds, or only those that a handler has begun. */
export type Finish = "held" | "running";

export interface Consumer {
  readonly clientId: string;
  readonly stats: ConsumerStats;
  /**
   * Resolves when the broker has granted the subscription, or when `stop` came first. A broker that is away is
   * tried again until it is there.
   * @throws EquipoiseError EQ_BROKER_REFUSED, EQ_SUBSCRIBE_REFUSED
   */
  start(): Promise<void>;
  /** Drains: takes nothing new, finishes, acknowledges, unsubscribes, disconnects. Never rejects. */
  stop(finish?: Finish): Promise<void>;
}
