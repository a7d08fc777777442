/** What every venue is: where it is, how to subscribe and stay connected, and what its frames say. No state, no I/O. */
import { normaliseSymbol, type VenueTrade } from "@equipoise/shared";

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
  /** One of {@link Subscription.acks} has come; with the symbols that are in force, where the venue names them. */
  | { kind: "subscribed"; symbols?: readonly string[] }
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
  /** Its trade ids count per symbol without holes. */
  readonly countsTrades: boolean;
  /** Sent every so often; without a text it is a WebSocket ping. Undefined where the venue's own heartbeats do. */
  readonly keepAlive?: { periodMs: number; text?: string };
  /** Silence, pongs included, after which the connection is given up. */
  readonly staleMs: number;
  /** Between two subscribe frames, by the venue's limit on what a client sends. */
  readonly subscribePauseMs: number;
  /** The venue closes connections of a certain age; a little earlier a new one takes over. */
  readonly maxAgeMs?: number;
  /** The symbol of the ticks that come for what a user has written, where that is not {@link normaliseSymbol}'s. */
  readonly symbolOf?: (text: string) => string;
  /** @param symbols as the user wrote them, upper case */
  subscribe(symbols: readonly string[]): Subscription;
  /** @throws EquipoiseError EQ_SOURCE_BAD_RECORD when the frame is not what the venue documents; all of it is skipped */
  read(frame: string, receivedTimeUs: number): VenueMessage[];
}

export const ignored: VenueMessage = { kind: "ignored" };
export const alive: VenueMessage = { kind: "alive" };
export const subscribed = { kind: "subscribed" } as const;

/** What a user has written, as topics and ticks have it. */
export const symbolOf = (venue: Venue, text: string): string => (venue.symbolOf ?? normaliseSymbol)(text);

/** Each once, in its first writing. */
export function distinct(venue: Venue, symbols: readonly string[]): string[] {
  const names = new Set<string>();
  return symbols.filter((symbol) => names.size < names.add(symbolOf(venue, symbol)).size);
}

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
