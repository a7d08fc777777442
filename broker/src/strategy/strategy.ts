/** Contract of the strategies: choose one of the members that can take a message now. */

/** What a strategy may know of a member. Read-only; it never touches sockets. */
export interface MemberView {
  readonly clientId: string;
  /** Messages that it holds unacknowledged. */
  readonly inFlight: number;
  /** Messages that it may hold. */
  readonly credit: number;
  /** Its share of the traffic beside the others', configured or declared by itself; 0 is only for overflow. */
  readonly weight: number;
  /** Messages that it has to work on beside those in flight from here, as it reports. */
  readonly extraWork: number;
  /** Time that one more message takes it, in milliseconds, as far as it is known; more while it makes no progress. */
  expectedServiceMs(nowMs: number): number | undefined;
  /** Messages that it has answered, well or badly: what its service time is known from. */
  readonly answers: number;
  /** Share of late that it failed, 0 to 1. */
  readonly errorRate: number;
  /** When it was last given a message, monotonic; -Infinity before the first. */
  readonly lastTakenAtMs: number;
}

/** One choice: for whom there is a message now. */
export interface Choice<M extends MemberView> {
  /** Members with free credit, in a stable order; may be empty. */
  readonly eligible: readonly M[];
  /** All that messages go to, the eligible among them. */
  readonly members: readonly M[];
  /** Messages that wait, the one to be given included. */
  readonly waiting: number;
  /** Monotonic. */
  readonly nowMs: number;
  /** The message's key in an ordered pool. */
  readonly key: string | undefined;
}

export type Pick<M extends MemberView> = { kind: "picked"; member: M } | { kind: "wait" };

export const wait: { kind: "wait" } = Object.freeze({ kind: "wait" });

export interface Strategy {
  readonly name: StrategyName;
  /** `wait` leaves the message in the pool: nobody is eligible, or another will soon be who finishes it earlier. */
  pick<M extends MemberView>(choice: Choice<M>): Pick<M>;
  /** What a member was weighed by, least first, to explain a choice; `undefined` when it is not by a number. */
  scoreOf?(member: MemberView, choice: Choice<MemberView>): number;
}

export const strategyNames = [
  "performance_based",
  "least_connections",
  "weighted",
  "round_robin",
  "key_affinity",
] as const;
export type StrategyName = (typeof strategyNames)[number];
