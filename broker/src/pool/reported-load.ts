/**
 * What a member says about its load. It corrects the pool's own view and never replaces it: a report can only make a
 * member look busier, for half a second, and only as long as it agrees with what is seen of the member.
 *
 * Most members acknowledge when they have finished. One that acknowledges on receipt shows in its answers nothing of
 * the work that it has: it is recognised by reports of a queue that its quick answers cannot explain, and from then on
 * its work is counted on from report to report: what it had, plus what it was given, less what it finishes in its own
 * service time; two reports must have agreed in this way before. A member whose queue does not shrink although hardly anything is given to it is not believed, each
 * time for longer.
 */
import type { MemberHeartbeat } from "@equipoise/shared";

/** Age in milliseconds after which load is not believed. */
const freshForMs = 500;
/** Reports closer to each other say little about the time between them; a claim that takes longer to check is not believed. */
const shortestIntervalMs = 50;
const longestIntervalMs = 10_000;
/** Messages that it must have had the time for, before a report can be checked against an earlier one. */
const checkable = 2;
/** A queue this long beyond what is in flight is not noise. */
const noticeableWork = 4;
/** One this long needs no second report. */
const unmistakableWork = 16;
/** A latency below these shares of what the queue, and the message itself, would take does not wait for the work. */
const earlyShare = 0.25;
const earlyShareOfOne = 0.7;
/** Reports that must agree before a member is taken for one that acknowledges early. */
const agreeing = 3;
/** What was finished may differ from what the service time says by this factor. */
const plausible = 4;
const firstDistrustMs = 10_000;
const longestDistrustMs = 600_000;
/** A service time is remembered for so long when no newer one is reported. */
const learnedForMs = 30_000;

/** Weight of a reported service time, and of one that was counted, in the long-run one. */
const reportedShare = 0.05;
const countedShare = 0.3;

interface Report {
  atMs: number;
  queueDepth: number;
  serviceTimeMs: number | undefined;
  /** Messages given to the member until then, and unanswered then. */
  taken: number;
  inFlight: number;
}

/** What the pool itself knows of the member when a report comes. */
export interface SeenLoad {
  inFlight: number;
  taken: number;
  ackLatencyMs: number | undefined;
}

export class ReportedLoad {
  beats = 0;
  #lastBeatAtMs = Number.NEGATIVE_INFINITY;
  #eventLoopLagMs: number | undefined;
  /** The last report, if it said how much work there is. */
  #last: Report | undefined;
  /** What the next reports are checked against. */
  #unchecked: Report | undefined;
  #suspicion = 0;
  #early = false;
  #contradictions = 0;
  /** Two reports have fitted together, and none have failed to since. */
  #plausible = false;
  #distrustedUntilMs = Number.NEGATIVE_INFINITY;
  #distrustMs = firstDistrustMs;
  /** Its service time, from many reports: one is the mean of a few messages. */
  #serviceMs: number | undefined;

  /** It acknowledges before it works. */
  get acknowledgesEarly(): boolean {
    return this.#early;
  }

  heard(heartbeat: MemberHeartbeat, seen: SeenLoad, nowMs: number): void {
    this.beats++;
    this.#lastBeatAtMs = nowMs;
    const before = this.#last;
    const { queueDepth, serviceTimeMs } = heartbeat;
    this.#eventLoopLagMs = heartbeat.eventLoopLagMs;
    if (queueDepth === undefined) {
      this.#last = undefined;
      this.#unchecked = undefined;
      return;
    }
    const { inFlight, taken } = seen;
    const report: Report = { atMs: nowMs, queueDepth, serviceTimeMs, taken, inFlight };
    this.#last = report;
    this.#check(report);
    this.#learn(before, report);
    this.#recognise(report, seen.ackLatencyMs);
  }

  /** Milliseconds by which its event loop was late, when that is known and new. */
  eventLoopLagMs(nowMs: number): number | undefined {
    return nowMs - this.#lastBeatAtMs <= freshForMs ? this.#eventLoopLagMs : undefined;
  }

  /** Messages that it has to work on beside those in flight. */
  extraWork(seen: SeenLoad, serviceMs: number | undefined, nowMs: number): number {
    const last = this.#last;
    if (last === undefined || nowMs < this.#distrustedUntilMs) return 0;
    if (this.#early) return this.#earlyWork(last, seen, nowMs);
    const beyond = last.queueDepth - last.inFlight;
    if (beyond < noticeableWork || nowMs - last.atMs > freshForMs) return 0;
    // Work from elsewhere that is really there delays the answers, too.
    const delayed = (seen.ackLatencyMs ?? 0) >= 0.5 * beyond * (serviceMs ?? Number.POSITIVE_INFINITY);
    return delayed ? beyond : 0;
  }

  /** Its own service time, where its answers say nothing about it. */
  serviceMs(nowMs: number): number | undefined {
    const last = this.#last;
    if (!this.#early || last === undefined || nowMs - last.atMs > learnedForMs) return undefined;
    return nowMs < this.#distrustedUntilMs ? undefined : this.#serviceMs;
  }

  #earlyWork({ atMs, queueDepth, taken }: Report, seen: SeenLoad, nowMs: number): number {
    const passedMs = nowMs - atMs;
    if (passedMs > learnedForMs || this.#serviceMs === undefined) return 0;
    const finished = passedMs / Math.max(this.#serviceMs, 0.001);
    return Math.max(0, queueDepth + seen.taken - taken - finished - seen.inFlight);
  }

  /** What it finished while it always had work is worth more than what it says of its last messages. */
  #learn(before: Report | undefined, { atMs, queueDepth, taken, serviceTimeMs }: Report): void {
    if (serviceTimeMs !== undefined && this.#plausible) this.#follow(serviceTimeMs, reportedShare);
    if (before === undefined || queueDepth < noticeableWork || before.queueDepth < noticeableWork) return;
    const finished = before.queueDepth + taken - before.taken - queueDepth;
    if (finished >= noticeableWork) this.#follow((atMs - before.atMs) / finished, countedShare);
  }

  #follow(serviceMs: number, share: number): void {
    const before = this.#serviceMs ?? serviceMs;
    this.#serviceMs = before + (serviceMs - before) * share;
  }

  /** Looks whether a report fits an earlier one, from when on it has had the time for a few messages. */
  #check(now: Report): void {
    const before = this.#unchecked ?? now;
    const passedMs = now.atMs - before.atMs;
    const { serviceTimeMs } = now;
    const busy = serviceTimeMs !== undefined && before.queueDepth - before.inFlight >= noticeableWork;
    const couldFinish = busy ? passedMs / Math.max(serviceTimeMs, 0.001) : 0;
    const checks = passedMs >= shortestIntervalMs && couldFinish >= checkable;
    if (busy && !checks && passedMs <= longestIntervalMs) {
      this.#unchecked = before;
      return;
    }
    this.#unchecked = now;
    if (checks) this.#compare(before, now, couldFinish);
    else if (busy) this.#disbelieve();
  }

  #compare(before: Report, now: Report, couldFinish: number): void {
    const had = before.queueDepth + now.taken - before.taken;
    const finished = had - now.queueDepth;
    const expected = Math.min(had, couldFinish);
    const fits = finished * plausible >= expected - 1 && finished <= expected * plausible + 1;
    this.#plausible = fits;
    if (fits) this.#contradictions = 0;
    else if (++this.#contradictions >= 2) this.#distrust(now.atMs);
  }

  #disbelieve(): void {
    this.#plausible = false;
    this.#suspicion = 0;
    this.#early = false;
  }

  #distrust(nowMs: number): void {
    this.#contradictions = 0;
    this.#disbelieve();
    this.#distrustedUntilMs = nowMs + this.#distrustMs;
    this.#distrustMs = Math.min(longestDistrustMs, this.#distrustMs * 2);
  }

  #recognise({ queueDepth, inFlight, serviceTimeMs, atMs }: Report, ackLatencyMs: number | undefined): void {
    if (ackLatencyMs === undefined || serviceTimeMs === undefined || atMs < this.#distrustedUntilMs) return;
    const beyond = queueDepth - inFlight;
    const workMs = Math.min(earlyShare * beyond, earlyShareOfOne) * serviceTimeMs;
    const early = beyond >= noticeableWork && ackLatencyMs < workMs;
    // An idle member shows nothing either way.
    if (early) this.#suspicion += beyond >= unmistakableWork ? agreeing : 1;
    else if (beyond > 0 || inFlight > 0) this.#suspicion = Math.max(0, this.#suspicion - 1);
    if (this.#suspicion >= agreeing && this.#plausible) this.#early = true;
    this.#suspicion = Math.min(this.#suspicion, 4 * agreeing);
    if (this.#suspicion === 0) this.#early = false;
  }
}
