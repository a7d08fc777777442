/** Contract of the strategies: choose one of the members that can take a message now. */

/** What a strategy may know of a member. Read-only; it never touches sockets. */
export interface MemberView {
  readonly clientId: string;
  /** Messages that it holds unacknowledged. */
  readonly inFlight: number;
  /** Messages that it may hold. */
  readonly credit: number;
}

export type Pick<M extends MemberView> = { kind: "picked"; member: M } | { kind: "wait" };

export const wait: { kind: "wait" } = Object.freeze({ kind: "wait" });

export interface Strategy {
  readonly name: StrategyName;
  /** @param eligible members with free credit, in a stable order; may be empty */
  pick<M extends MemberView>(eligible: readonly M[]): Pick<M>;
}

export const strategyNames = ["round_robin", "least_connections"] as const;
export type StrategyName = (typeof strategyNames)[number];
