/** What every source of ticks is, and what it is given to write to. */
import type { AgentHeartbeat, VenueGap, VenueTrade } from "@equipoise/shared";

/** Where a source puts its trades. */
export interface TickSink {
  /**
   * Takes the trade in any case.
   * @returns false when it is full: wait for {@link TickSink.room} before the next
   * @throws EquipoiseError EQ_TOPIC_INVALID, EQ_LIMIT_REACHED when the trade's stream cannot exist
   */
  put(trade: VenueTrade): boolean;
  /** Takes a gap record in the same way. */
  gap(gap: VenueGap): boolean;
  /** Resolves with true when there is room again, with false when there is none and the agent stops. */
  room(): Promise<boolean>;
}

/** How far a stream had been read: its newest trade, and until when nothing else came. */
export interface ReadMark extends Pick<VenueTrade, "tradeId" | "exchangeTimeUs" | "receivedTimeUs"> {
  /** There may have been more, which an unclean end of the agent has made forgotten. */
  uncertain?: true;
}

/** What is known of streams over restarts, by venue and symbol as in topics. */
export interface ReadMarks {
  /** Undefined for a stream that has never been read. */
  of(venue: string, symbol: string): ReadMark | undefined;
  /** Everything until then was put or told to be missing; kept only for a stream that has had a record. */
  readUntil(venue: string, symbol: string, timeUs: number): void;
}

/** Of a source that connects to a venue; see the heartbeat. */
export type ConnectionStatus = NonNullable<AgentHeartbeat["sources"][number]["connection"]>;

export interface SourceStatus {
  spec: string;
  state: "running" | "ended" | "failed";
  ticks: number;
  skipped: number;
  /** Gap records written. */
  gaps: number;
  /** How much of a file has been read, 0 to 1 (of the current pass when it loops); null for other sources. */
  done: number | null;
  /** Only of a source that connects. */
  connection?: ConnectionStatus;
}

/** How long a source that is stopped may still take what has arrived, where nobody says. */
export const defaultGraceMs = 2_000;

/** One source; `open`, then `run` once, then `stop` at any time. */
export interface Source {
  status(): SourceStatus;
  /** @throws EquipoiseError EQ_SOURCE_UNREADABLE, EQ_PORT_IN_USE, EQ_LISTEN_FAILED */
  open(): Promise<void>;
  /**
   * Resolves when the source has ended or was stopped.
   * @throws EquipoiseError EQ_SOURCE_UNREADABLE, EQ_SOURCE_REFUSED when it breaks off; what came before has been put
   */
  run(sink: TickSink): Promise<void>;
  /** @param graceMs how long it may still take what has arrived */
  stop(graceMs?: number): void;
}
