/** Members as strategies and health checkers see them, with whatever a test needs to say of them. */
import type { MemberSigns } from "../../broker/src/health/index.ts";
import type { Choice, MemberView, Strategy } from "../../broker/src/strategy/index.ts";

/** A member that strategies choose from; everything of it can be set. */
export class FakeMember implements MemberView {
  readonly clientId: string;
  inFlight = 0;
  credit = 16;
  weight = 1;
  extraWork = 0;
  errorRate = 0;
  answers = 100;
  /** What it is expected to take for a message; `undefined` while nothing is known. */
  serviceMs: number | undefined;
  lastTakenAtMs = 0;

  constructor(clientId: string, said: Partial<Omit<FakeMember, "clientId" | "expectedServiceMs">> = {}) {
    this.clientId = clientId;
    Object.assign(this, said);
  }

  expectedServiceMs(): number | undefined {
    return this.serviceMs;
  }
}

/** One choice: by default everybody with credit is eligible, and one message waits. */
export function choiceOf(members: FakeMember[], said: Partial<Choice<FakeMember>> = {}): Choice<FakeMember> {
  const eligible = members.filter(({ inFlight, credit }) => inFlight < credit);
  return { eligible, members, waiting: 1, nowMs: 1_000, key: undefined, ...said };
}

/** The member that a strategy picks, by name; `wait` when it picks none. */
export function pickOf(strategy: Strategy, choice: Choice<FakeMember>): string {
  const pick = strategy.pick(choice);
  return pick.kind === "picked" ? pick.member.clientId : "wait";
}

/** What a checker sees of a member that is well and idle. */
export function signsOf(said: Partial<MemberSigns> = {}): MemberSigns {
  return {
    clientId: "m",
    inFlight: 0,
    oldestSentAtMs: undefined,
    lastHeardAtMs: 0,
    silenceLimitMs: 0,
    beats: 0,
    serviceMs: 1,
    baselineMs: 1,
    latencyP99Ms: 2,
    timeoutsInARow: 0,
    errorsInARow: 0,
    errorRate: 0,
    answers: 100,
    eventLoopLagMs: undefined,
    ...said,
  };
}
