/** The buffer as the next stage sees it: ticks in order, each until it is settled. */

/** One topic: a venue's symbol as this agent sees it. */
export interface Stream {
  readonly id: number;
  readonly venue: string;
  readonly symbol: string;
  /** Where its ticks go. */
  readonly topic: string;
  /** Where its newest trade is retained. */
  readonly lastTopic: string;
}

export interface BufferedTick {
  /** Counts up over all streams in the order of arrival; after an outage not always the order of {@link TickQueue.take}. */
  readonly position: number;
  readonly stream: Stream;
  /** The record as it goes out. */
  readonly payload: string;
  /** Wall clock when it came; for people. */
  readonly bufferedTimeMs: number;
}

/** A stream's newest trade, as it goes out. */
export type LastTrade = Pick<BufferedTick, "stream" | "payload">;

export interface TickQueue {
  /** The next tick, once; undefined when none is at hand (see {@link TickQueue.onReadable}). */
  take(): BufferedTick | undefined;
  /** Everything taken up to and including the tick with this position is acknowledged. */
  settle(position: number): void;
  /** True when every tick has been taken. */
  isEmpty(): boolean;
  /** Calls back whenever {@link TickQueue.take} has something again. */
  onReadable(callback: () => void): void;
  /** The newest trade of each stream that has a newer one than at the last call. */
  takeNewest(): LastTrade[];
}
