/** What the benchmark asks the processes of members and of the publisher, and what they answer. */

/** Asked of a member, which serves one message at a time. */
export type MemberQuestion =
  | { ask: "join"; broker: string; clientId: string; pool: string; filter: string }
  | { ask: "leave" }
  /** What it has completed since it was asked last. */
  | { ask: "report" };

/** One entry for each message that a member has completed. */
export interface MemberReport {
  numbers: Uint32Array;
  /** Times are those of `monotonicUs`. */
  intendedUs: Float64Array;
  completedUs: Float64Array;
}

/** Asked of the publisher. It numbers its messages from 1, and each carries the time at which it was to be sent. */
export type PublisherQuestion =
  | { ask: "connect"; port: number }
  | { ask: "burst"; topic: string; count: number }
  /** Independent arrivals: the gaps between messages are distributed exponentially. */
  | { ask: "arrivals"; topic: string; rate: number; durationMs: number; seed: number };

/** Every message has been acknowledged. */
export interface Sent {
  count: number;
  /** When the first may have been sent, and the last. */
  fromUs: number;
  untilUs: number;
  /** 99 of 100 messages left the publisher at most so long after they were to be sent. */
  lateP99Us: number;
}
