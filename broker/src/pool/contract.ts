/** What a pool is told, and what it asks of the rest of the broker. */
import type { HealthChange, HealthChecker, HealthState } from "../health/index.ts";
import type { Strategy } from "../strategy/index.ts";
import type { Backlog } from "./backlog.ts";
import type { Delivery } from "./delivery.ts";
import type { Member } from "./member.ts";
import type { Fallback } from "./policy.ts";
import type { Pool } from "./pool.ts";

export type WhenFull = "backpressure" | "dropOldest" | "reject";

/** What a pool does, whoever its members are. */
export interface PoolPolicy {
  name: string;
  /** Named by the configuration: it exists without members and may push back on publishers. */
  declared: boolean;
  strategy: Strategy;
  health: HealthChecker;
  /** By client id; they go before what members declare. */
  weights: Readonly<Record<string, number>>;
  /** By client id: what the operator has said, before whatever the checker finds. */
  operatorHealth?: Readonly<Record<string, HealthState>>;
  ordering: "none" | "key";
  /** `topic`, or a top-level field of the JSON record. */
  key: string;
  /** A member that holds a message this long without answering has failed it. */
  ackTimeoutMs: number;
  /** Failed attempts after which a message is a dead letter. */
  maxDeliveries: number;
  maxBacklogBytes: number;
  whenFull: WhenFull;
  /** How long a declared pool keeps its backlog without members; for others see `undeclaredPools`. */
  retainWhenEmptyMs: number;
  /** Whose members help out when this pool has had none for a while. */
  fallback: Fallback | undefined;
}

/** What can be changed of a policy while the pool is in use. */
export type Tuning = Partial<Pick<PoolPolicy, "strategy" | "health" | "weights" | "operatorHealth">>;

/** How a pool reaches the rest of the broker. */
export interface PoolSurroundings {
  /** Asks for `drain` to be called later in this turn. */
  wake(pool: Pool): void;
  /** Makes the backlog of a filter and has the router fill it. */
  openBacklog(pool: Pool, filter: string): Backlog;
  onDropped(pool: Pool, messages: number): void;
  /** An attempt has failed; the failure is noted in the delivery. */
  onFailed(pool: Pool, member: Member, delivery: Delivery): void;
  /** Too many attempts: keeps the message as a dead letter, then settles it, or gives it back when it cannot. */
  bury(pool: Pool, filter: string, delivery: Delivery): void;
  onHealth(pool: Pool, member: Member, change: HealthChange): void;
  onPanic(pool: Pool, panic: boolean): void;
  onCheckerFailed(pool: Pool, reason: string): void;
  /** Messages were taken back from a member that is frozen. */
  onRescued(pool: Pool, member: Member, messages: number): void;
  /** Its messages come as they are wanted: it is to be drained also when none waits. */
  fed?: boolean;
  /** Uniform in [0, 1). */
  random(): number;
  wallMs(): number;
  monotonicMs(): number;
}
