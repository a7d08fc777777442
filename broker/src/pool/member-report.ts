import type { MemberReport } from "@equipoise/shared";
import type { Member } from "./member.ts";

/**
 * One member for people and other programs, all but what its pool's strategy makes of it.
 * @param nowMs monotonic
 */
export function reportOf(member: Member, nowMs: number): Omit<MemberReport, "score"> {
  const { clientId, inFlight, credit, weight, draining, guest, health, record } = member;
  const { ackLatencyMs } = record;
  return {
    clientId,
    health: member.state,
    healthReason: member.operatorSays === undefined ? health.reason : "set by the operator",
    healthForMs: Math.round(nowMs - member.stateSinceMs),
    inFlight,
    credit,
    weight,
    draining,
    guest,
    settled: record.settled,
    timeouts: record.timeouts,
    rescued: member.rescued,
    ackLatencyMs: ackLatencyMs === undefined ? null : rounded(ackLatencyMs),
    serviceMs: nullable(member.expectedServiceMs(nowMs)),
    extraWork: rounded(member.extraWork),
    errorRate: rounded(member.errorRate),
    takenInMinute: record.takenInMinute(nowMs),
    acknowledgesEarly: member.reported.acknowledgesEarly,
  };
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
const nullable = (value: number | undefined): number | null => (value === undefined ? null : rounded(value));
