/** What every venue is: where it is, how to subscribe and stay connected, and what its frames say. No state, no I/O. */
import type { VenueTrade } from "@equipoise/shared";

/** The venue's trade ids that one tick covers; an aggregate covers several. */
export interface IdRange {
  first: number;
  last: number;
}

export interface VenueTick {
  trade: VenueTrade;
  /** Only where the venue counts its trades per symbol without holes. */
  ids?: IdRange;
  /** Takes up its ids and is no trade of the market. */
  blank?: true;
}

/** What one frame says. */
export type VenueMessage =
  /** Oldest first. A snapshot repeats what was before the subscription. */
  | { kind: "ticks"; ticks: VenueTick[]; snapshot: boolean }
  /** One of {@link Subscription.acks} has come. */
  | { kind: "subscribed" }
  /** A heartbeat, or the answer to a ping. */
  | { kind: "alive" }
  /** The venue will close this connection soon. */
  | { kind: "reconnect"; reason: string }
  /** Fatal: asking again would change nothing. */
  | { kind: "refused"; reason: string; fatal: boolean }
  | { kind: "ignored" };

export interface Subscription {
  /** To be sent in this order, `subscribePauseMs` apart. */
  frames: string[];
  /** How many times the venue answers when all is well. */
  acks: number;
}

export interface Venue {
  /** As in topics. */
  readonly name: string;
  readonly url: string;
  /** Sent every so often; without a text it is a WebSocket ping. Undefined where the venue's own heartbeats do. */
  readonly keepAlive?: { periodMs: number; text?: string };
  /** Silence, pongs included, after which the connection is given up. */
  readonly staleMs: number;
  /** Between two subscribe frames, by the venue's limit on what a client sends. */
  readonly subscribePauseMs: number;
  /** The venue closes connections of a certain age; a little earlier a new one takes over. */
  readonly maxAgeMs?: number;
  /** @param symbols as the user wrote them, upper case */
  subscribe(symbols: readonly string[]): Subscription;
  /** @throws EquipoiseError EQ_SOURCE_BAD_RECORD when the frame is not what the venue documents; all of it is skipped */
  read(frame: string, receivedTimeUs: number): VenueMessage[];
}

export const ignored: VenueMessage = { kind: "ignored" };
export const alive: VenueMessage = { kind: "alive" };
export const subscribed: VenueMessage = { kind: "subscribed" };

/** Sorts by the venue's ids: some frames come newest first. */
export function oldestFirst(ticks: VenueTick[]): VenueTick[] {
  return ticks.sort((a, b) => (a.ids?.first ?? 0) - (b.ids?.first ?? 0));
}

/** Parts of at most `size` symbols, one subscribe frame each. */
export function batches<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}
