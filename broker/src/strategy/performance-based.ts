import { coldAnswers } from "./service-time.ts";
import { type Choice, type MemberView, type Pick, type Strategy, wait } from "./strategy.ts";

/** Up to so many members are all weighed; of more, `sampled` at random. */
const scanned = 32;
const sampled = 3;
/** A member that nobody has given anything for so long is tried, whatever is expected of it. */
const probeAfterMs = 2_000;
const maxProbeShare = 0.003;
/** Idle members whose scores differ by no more than this factor, or these milliseconds, are alike. */
const alike = 1.5;
const alikeMs = 0.5;
/** After so many answers, without the first ones, a member's service time is its own. */
const enoughAnswers = 8;
/** How long the median of the known members is believed. */
const medianForMs = 100;
/** Of a member that nothing is known of, when nothing is known of any. */
const unknownServiceMs = 1;
/** A member that fails everything is weighed as if each message took it so many times as long. */
const maxErrorFactor = 400;

/**
 * The member with the least score: the time until it would have finished, (messages in flight + work that it reports
 * beyond them + 1) × its service time, weighed once more by the queue. Failures raise it; a member that nothing is known
 * of counts as the median of the others.
 *
 * When another one, out of credit now, would finish the message earlier even after waiting for it, the message waits.
 * Giving it to a slow member would make way for those that wait behind it, so it does go there when the time that
 * they would gain together is more than what it would lose itself.
 *
 * @see Lin and Kumar, "Optimal control of a queueing system with two heterogeneous servers", 1984 (when to use the
 * slow one)
 */
export class PerformanceBased implements Strategy {
  readonly name = "performance_based";
  readonly #random: () => number;
  #picks = 0;
  #probes = 0;
  #medianMs = unknownServiceMs;
  #medianAtMs = Number.NEGATIVE_INFINITY;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  pick<M extends MemberView>(choice: Choice<M>): Pick<M> {
    const { eligible } = choice;
    const chosen =
      eligible.length > scanned ? this.#bestOfSome(choice) : (this.#probe(choice) ?? this.#best(choice));
    if (chosen === undefined) return wait;
    this.#picks++;
    return { kind: "picked", member: chosen };
  }

  scoreOf(member: MemberView, choice: Choice<MemberView>): number {
    return scoreOf(member, this.#serviceMs(member, choice));
  }

  /** What is known of a member; the less that is, the more it counts as the median. */
  #serviceMs(member: MemberView, choice: Choice<MemberView>): number {
    const serviceMs = member.expectedServiceMs(choice.nowMs);
    if (serviceMs === undefined) return this.#median(choice);
    if (member.answers >= coldAnswers + enoughAnswers) return serviceMs;
    const known = Math.max(0, member.answers - coldAnswers) / enoughAnswers;
    return serviceMs * known + this.#median(choice) * (1 - known);
  }

  #finishMs(member: MemberView, choice: Choice<MemberView>): number {
    return finishMs(member, this.#serviceMs(member, choice));
  }

  #best<M extends MemberView>(choice: Choice<M>): M | undefined {
    const { eligible, members } = choice;
    let chosen: M | undefined;
    let least = Number.POSITIVE_INFINITY;
    let ties = 0;
    for (const member of eligible) {
      const score = this.scoreOf(member, choice);
      if (score < least) {
        least = score;
        chosen = member;
        ties = 1;
      } else if (score === least && this.#random() * ++ties < 1) {
        chosen = member;
      }
    }
    if (chosen === undefined) return undefined;
    if (chosen.inFlight === 0) chosen = this.#equalToBest(choice, chosen, least);
    if (eligible.length === members.length) return chosen;
    return this.#betterToWait(choice, this.#finishMs(chosen, choice)) ? undefined : chosen;
  }

  /**
   * Of idle members that differ by no more than chance, one at random: else the one that was lucky of late would get
   * everything while there is little to do.
   */
  #equalToBest<M extends MemberView>(choice: Choice<M>, best: M, least: number): M {
    const limit = Math.max(least * alike, least + alikeMs);
    let chosen = best;
    let equals = 1;
    for (const member of choice.eligible) {
      if (member === best || member.inFlight > 0 || this.scoreOf(member, choice) > limit) continue;
      if (this.#random() * ++equals < 1) chosen = member;
    }
    return chosen;
  }

  /** Whether somebody without credit is worth waiting for. */
  #betterToWait(choice: Choice<MemberView>, offeredMs: number): boolean {
    const { members, eligible, waiting } = choice;
    let earliestMs = Number.POSITIVE_INFINITY;
    let perMs = 0;
    for (const member of members) {
      if (member.inFlight < member.credit || eligible.includes(member)) continue;
      const elsewhereMs = this.#finishMs(member, choice);
      if (elsewhereMs >= offeredMs) continue;
      earliestMs = Math.min(earliestMs, elsewhereMs);
      perMs += (member.inFlight + 1) / elsewhereMs;
    }
    return perMs > 0 && offeredMs > earliestMs + (waiting - 1) / perMs;
  }

  #bestOfSome<M extends MemberView>(choice: Choice<M>): M | undefined {
    const { eligible } = choice;
    let chosen: M | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let draw = 0; draw < sampled; draw++) {
      const member = eligible[Math.floor(this.#random() * eligible.length)] as M;
      const score = this.scoreOf(member, choice);
      // The first one counts whatever its score: a report may be beyond all numbers.
      if (chosen !== undefined && score >= least) continue;
      least = score;
      chosen = member;
    }
    return chosen;
  }

  /** A member that has been left alone for long may have become better since. */
  #probe<M extends MemberView>({ eligible, nowMs }: Choice<M>): M | undefined {
    if (this.#probes > this.#picks * maxProbeShare) return undefined;
    for (const member of eligible) {
      if (member.inFlight > 0 || nowMs - member.lastTakenAtMs < probeAfterMs) continue;
      if (member.lastTakenAtMs > Number.NEGATIVE_INFINITY) this.#probes++;
      return member;
    }
    return undefined;
  }

  #median({ members, nowMs }: Choice<MemberView>): number {
    if (nowMs - this.#medianAtMs < medianForMs) return this.#medianMs;
    const known = members
      .map((member) => member.expectedServiceMs(nowMs))
      .filter((serviceMs) => serviceMs !== undefined)
      .sort((a, b) => a - b);
    this.#medianMs = known[(known.length - 1) >> 1] ?? unknownServiceMs;
    this.#medianAtMs = nowMs;
    return this.#medianMs;
  }
}

/**
 * What a member is weighed by, less is better; it grows with what is in flight, with the service time, and with failures.
 *
 * The time to finish is weighed with the square root of the queue, for a message does not only wait behind others,
 * others will wait behind it. By the time alone each message goes where it is done first, which leaves slow members
 * idle for too long; by the queue once more they get too much.
 */
export function scoreOf(member: Weighed, serviceMs: number): number {
  return finishMs(member, serviceMs) * Math.sqrt(member.inFlight + member.extraWork + 1);
}

/** The time in milliseconds after which a member would have finished one message more; its failures lengthen it. */
function finishMs({ inFlight, extraWork, errorRate }: Weighed, serviceMs: number): number {
  const works = Math.max(1 - errorRate, 1 / Math.sqrt(maxErrorFactor));
  return ((inFlight + extraWork + 1) * Math.max(serviceMs, shortestServiceMs)) / (works * works);
}

/** Below the clock's grain members differ only by what they hold. */
const shortestServiceMs = 0.001;

export type Weighed = { readonly [K in "inFlight" | "extraWork" | "errorRate"]: MemberView[K] };
