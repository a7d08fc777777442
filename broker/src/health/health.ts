/** Contract of the health checkers: judge one member by what is known of it. */

export const healthStates = ["HEALTHY", "DEGRADED", "UNHEALTHY"] as const;
/** DEGRADED takes only what the healthy have no credit for; UNHEALTHY takes nothing but a probe now and then. */
export type HealthState = (typeof healthStates)[number];

/** What a checker may know of a member. Times are monotonic milliseconds. */
export interface MemberSigns {
  readonly clientId: string;
  readonly inFlight: number;
  /** When the oldest message that it holds was sent; `undefined` when it holds none. */
  readonly oldestSentAtMs: number | undefined;
  /** When any packet of it came. */
  readonly lastHeardAtMs: number;
  /** Silence after which its connection is closed; 0 when it has asked for no such limit. */
  readonly silenceLimitMs: number;
  /** Heartbeats since it joined. */
  readonly beats: number;
  /** Time for one message, of late and in the long run; `undefined` before the first acknowledgement. */
  readonly serviceMs: number | undefined;
  readonly baselineMs: number | undefined;
  /** Of its last answers; `undefined` before there are enough to tell. */
  readonly latencyP99Ms: number | undefined;
  readonly timeoutsInARow: number;
  readonly errorsInARow: number;
  /** Share of messages that it failed of late, 0 to 1, and how many it has answered, well or badly. */
  readonly errorRate: number;
  readonly answers: number;
  /** As it reports; `undefined` when it does not, or not recently. */
  readonly eventLoopLagMs: number | undefined;
}

/** What a checker may know of the pool. */
export interface PoolSigns {
  readonly members: number;
  /** Of the members' service times; `undefined` while none is known. */
  readonly medianServiceMs: number | undefined;
  readonly ackTimeoutMs: number;
}

export interface Verdict {
  readonly state: HealthState;
  /** For people, such as `5 timeouts in a row`; empty when healthy. */
  readonly reason: string;
  /** By comparison or by counting, not by proof: only a third of a pool may be ejected for such a reason. */
  readonly statistical?: boolean;
  /** Found by silence: over as soon as anything is heard. */
  readonly silent?: boolean;
  /** Milliseconds that it must have been found in every check before it counts; 0 for what proves itself. */
  readonly afterMs: number;
}

export const healthy: Verdict = Object.freeze({ state: "HEALTHY", reason: "", afterMs: 0 });

export interface HealthChecker {
  readonly name: HealthCheckerName;
  check(member: MemberSigns, pool: PoolSigns, nowMs: number): Verdict;
}

export const healthCheckerNames = ["basic", "advanced"] as const;
export type HealthCheckerName = (typeof healthCheckerNames)[number];
