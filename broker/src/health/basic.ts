import { type HealthChecker, healthy, type MemberSigns, type PoolSigns, type Verdict } from "./health.ts";

/** Parts of the silence after which the connection is closed, which is 1.5 times the keepalive. */
const degradedAfterSilence = 1.1 / 1.5;
const unhealthyAfterSilence = 1.3 / 1.5;
/** Parts of the time that a member has for a message. */
const degradedAfterHolding = 0.5;

/** By connection, keepalive and the time since the last proof of life. */
export class BasicHealth implements HealthChecker {
  readonly name = "basic";

  check(member: MemberSigns, { ackTimeoutMs }: PoolSigns, nowMs: number): Verdict {
    const { silenceLimitMs, lastHeardAtMs, oldestSentAtMs } = member;
    const silentMs = nowMs - lastHeardAtMs;
    if (silenceLimitMs > 0 && silentMs > silenceLimitMs * unhealthyAfterSilence)
      return { state: "UNHEALTHY", reason: `silent for ${seconds(silentMs)}`, afterMs: 0 };
    if (silenceLimitMs > 0 && silentMs > silenceLimitMs * degradedAfterSilence)
      return { state: "DEGRADED", reason: `silent for ${seconds(silentMs)}`, afterMs: 0 };
    if (oldestSentAtMs === undefined) return healthy;
    const heldMs = Math.min(nowMs - oldestSentAtMs, silentMs);
    if (heldMs <= ackTimeoutMs * degradedAfterHolding) return healthy;
    const reason = `no sign of life for ${seconds(heldMs)} while it holds messages`;
    return { state: "DEGRADED", reason, afterMs: 0 };
  }
}

/** A time for people. */
export function seconds(timeMs: number): string {
  return timeMs < 1_000 ? `${Math.round(timeMs)} ms` : `${(timeMs / 1_000).toFixed(1)} s`;
}
