import { BasicHealth, seconds } from "./basic.ts";
import { type HealthChecker, healthy, type MemberSigns, type PoolSigns, type Verdict } from "./health.ts";

/** A member that reports does so every 250 ms, give or take a fifth, while it works. */
const longestBeatMs = 300;
const missedBeatsDegraded = 2;
const missedBeatsUnhealthy = 5;
/** A silence is not strange before it is so many times the member's own 99th percentile. */
const strangeFactor = 10;

const timeoutsDegraded = 1;
const timeoutsUnhealthy = 3;
const errorsUnhealthy = 5;
/** An error rate says nothing before there have been so many answers. */
const fewestAnswers = 10;
const errorRateDegraded = 0.15;
const errorRateUnhealthy = 0.5;

/** What two checks agree on; and what is no passing disturbance, for a good strategy deals with those better. */
const briefMs = 150;
const longMs = 5_000;

/** Against its own past. */
const slowFactor = 5;
/** Against the others, in pools that are large enough to have an outlier. */
const fewestForOutliers = 5;
const outlierFactor = 10;
/** Smaller service times do not matter, whatever they are compared with. */
const matteringMs = 5;
const lagDegradedMs = 250;

/** Beside the basic signs: missed heartbeats, timeouts, failures, and service time against its own past and others'. */
export class AdvancedHealth implements HealthChecker {
  readonly name = "advanced";
  readonly #basic = new BasicHealth();

  check(member: MemberSigns, pool: PoolSigns, nowMs: number): Verdict {
    const verdicts = [
      byFailures(member),
      byHeartbeats(member, nowMs),
      this.#basic.check(member, pool, nowMs),
      bySpeed(member, pool),
    ];
    return (
      verdicts.find(({ state }) => state === "UNHEALTHY") ??
      verdicts.find(({ state }) => state === "DEGRADED") ??
      healthy
    );
  }
}

function byFailures({ timeoutsInARow, errorsInARow, errorRate, answers }: MemberSigns): Verdict {
  if (timeoutsInARow >= timeoutsUnhealthy)
    return { state: "UNHEALTHY", reason: `${timeoutsInARow} timeouts in a row`, afterMs: 0 };
  if (errorsInARow >= errorsUnhealthy)
    return { state: "UNHEALTHY", reason: `${errorsInARow} failures in a row`, statistical: true, afterMs: 0 };
  const percent = `${Math.round(errorRate * 100)} % of late failed`;
  if (answers >= fewestAnswers && errorRate > errorRateUnhealthy)
    return { state: "UNHEALTHY", reason: percent, statistical: true, afterMs: briefMs };
  if (timeoutsInARow >= timeoutsDegraded)
    return { state: "DEGRADED", reason: "its last message timed out", afterMs: 0 };
  if (answers >= fewestAnswers && errorRate > errorRateDegraded)
    return { state: "DEGRADED", reason: percent, afterMs: briefMs };
  return healthy;
}

/** Only of members that have reported before; any packet of it is a proof of life. */
function byHeartbeats(member: MemberSigns, nowMs: number): Verdict {
  const { eventLoopLagMs } = member;
  const silentMs = unexplainedSilenceMs(member, nowMs);
  const reason = `no heartbeat and no answer for ${seconds(silentMs)}`;
  const silent = { reason, silent: true, afterMs: 0 };
  if (silentMs > missedBeatsUnhealthy * longestBeatMs) return { state: "UNHEALTHY", ...silent };
  if (silentMs > missedBeatsDegraded * longestBeatMs) return { state: "DEGRADED", ...silent };
  if (eventLoopLagMs !== undefined && eventLoopLagMs > lagDegradedMs)
    return {
      state: "DEGRADED",
      reason: `its event loop is ${seconds(eventLoopLagMs)} late`,
      afterMs: briefMs,
    };
  return healthy;
}

/**
 * For how long a member that reports has been silent although it holds messages and therefore should have spoken; 0
 * while that can still be explained by how long its messages take.
 */
export function unexplainedSilenceMs(member: MemberSigns, nowMs: number): number {
  const { beats, oldestSentAtMs, lastHeardAtMs } = member;
  if (beats === 0 || oldestSentAtMs === undefined) return 0;
  const silentMs = nowMs - Math.max(lastHeardAtMs, oldestSentAtMs);
  // The percentile costs a sort: only for who is silent.
  if (silentMs <= missedBeatsDegraded * longestBeatMs) return 0;
  return silentMs > strangeFactor * (member.latencyP99Ms ?? 0) ? silentMs : 0;
}

/** A member is frozen when it has missed two heartbeats in such a way. */
export function isFrozen(member: MemberSigns, nowMs: number): boolean {
  return unexplainedSilenceMs(member, nowMs) > missedBeatsDegraded * longestBeatMs;
}

function bySpeed({ serviceMs, baselineMs }: MemberSigns, { members, medianServiceMs }: PoolSigns): Verdict {
  if (serviceMs === undefined || serviceMs < matteringMs) return healthy;
  if (baselineMs !== undefined && serviceMs > slowFactor * baselineMs)
    return slow(`takes ${seconds(serviceMs)} a message, ${seconds(baselineMs)} in the long run`);
  if (members >= fewestForOutliers && medianServiceMs !== undefined) {
    if (serviceMs > outlierFactor * medianServiceMs)
      return slow(`takes ${seconds(serviceMs)} a message, others ${seconds(medianServiceMs)}`);
  }
  return healthy;
}

function slow(reason: string): Verdict {
  return { state: "DEGRADED", reason, statistical: true, afterMs: longMs };
}
