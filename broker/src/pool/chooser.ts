/** Chooses the member for each message of a pool: by health, then by strategy; and can say why. */
import type { PoolHealth } from "../health/index.ts";
import { type Choice, createStrategy, type Strategy } from "../strategy/index.ts";
import type { PoolPolicy } from "./contract.ts";
import { Decisions } from "./decisions.ts";
import type { Delivery } from "./delivery.ts";
import type { Member } from "./member.ts";
import { type Candidates, Selection } from "./selection.ts";

/** How long a failed message waits for another member to have credit, before the same one may have it again. */
const patienceMs = 1_000;
/** Members that an explanation names. */
const maxExplained = 16;

/** Where a message comes from. */
export interface Waiting {
  readonly takers: readonly Member[];
  /** Messages that wait there, without the one to be given. */
  readonly waiting: number;
}

export interface ChooserOptions {
  policy: PoolPolicy;
  health: PoolHealth;
  /** Uniform in [0, 1). */
  random: () => number;
  wallMs: () => number;
  nowMs: () => number;
}

export class Chooser {
  readonly #options: ChooserOptions;
  readonly #selection: Selection;
  readonly decisions = new Decisions();
  /** In force while the health checker fails. */
  readonly #leastInFlight: Strategy;

  constructor(options: ChooserOptions) {
    this.#options = options;
    this.#selection = new Selection(options.health);
    this.#leastInFlight = createStrategy("least_connections", options.random);
  }

  /** Whom messages go to now; to be asked again when one of them has no credit any more. */
  candidates(takers: readonly Member[]): Candidates {
    return this.#selection.of(takers);
  }

  /**
   * Who gets a message now. One that has failed it does not get it again while there are others: for a while the
   * message waits for one of them (`later`). `wait` is for a member that is worth waiting for.
   */
  choose(from: Waiting, candidates: Candidates, delivery: Delivery): Member | "later" | "wait" {
    const nowMs = this.#options.nowMs();
    const eligible = this.#others(from.takers, candidates.eligible, delivery, nowMs);
    if (eligible.length === 0) return "later";
    const { members } = candidates;
    const choice = { eligible, members, waiting: from.waiting + 1, nowMs, key: delivery.key?.name };
    const pick = this.#strategy.pick(choice);
    const member = pick.kind === "picked" ? pick.member : undefined;
    if (this.decisions.due(nowMs)) this.#keep(choice, member, delivery, from.takers);
    return member ?? "wait";
  }

  /** What the strategy weighs a member by; null where that is no number. */
  scoreOf(member: Member, among: readonly Member[]): number | null {
    const choice = {
      eligible: among,
      members: among,
      waiting: 1,
      nowMs: this.#options.nowMs(),
      key: undefined,
    };
    return this.#score(member, choice);
  }

  get #strategy(): Strategy {
    return this.#options.health.checkerFailed ? this.#leastInFlight : this.#options.policy.strategy;
  }

  #others(
    takers: readonly Member[],
    eligible: readonly Member[],
    { avoid, failedAtMs }: Delivery,
    nowMs: number,
  ): readonly Member[] {
    if (avoid === undefined) return eligible;
    const others = eligible.filter((member) => member !== avoid);
    if (others.length > 0) return others;
    const someoneElse = takers.some((member) => member !== avoid && !member.resting);
    return someoneElse && nowMs - failedAtMs < patienceMs ? [] : eligible;
  }

  #keep(
    choice: Choice<Member>,
    picked: Member | undefined,
    { topic }: Delivery,
    takers: readonly Member[],
  ): void {
    const { members, waiting, nowMs } = choice;
    const weighed = members.slice(0, maxExplained).map((member) => {
      const { clientId, inFlight, credit } = member;
      return { clientId, score: this.#score(member, choice), inFlight, credit };
    });
    const leftOut = takers
      .filter((member) => !members.includes(member))
      .slice(0, maxExplained)
      .map((member) => ({ clientId: member.clientId, reason: whyLeftOut(member, nowMs) }));
    const timeMs = this.#options.wallMs();
    const decision = { timeMs, topic, waiting, picked: picked?.clientId ?? null, weighed, leftOut };
    this.decisions.keep(decision, nowMs);
  }

  #score(member: Member, choice: Choice<Member>): number | null {
    const score = this.#strategy.scoreOf?.(member, choice);
    return score === undefined ? null : Math.round(score * 1_000) / 1_000;
  }
}

function whyLeftOut({ draining, frozen, operatorSays, spent, health }: Member, nowMs: number): string {
  if (draining) return "draining";
  if (operatorSays !== undefined) return `${operatorSays}: set by the operator`;
  if (frozen) return "frozen: nothing is heard of it";
  if (spent) return "silent about messages that were taken back from it";
  // Only a probe goes past the healthy.
  if (health.state === "HEALTHY") return "HEALTHY: another one is being tried";
  const seconds = Math.round((nowMs - health.changedAtMs) / 1_000);
  return `${health.state} for ${seconds} s: ${health.reason}`;
}
