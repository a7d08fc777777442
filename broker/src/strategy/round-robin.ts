import { type Choice, type MemberView, type Pick, type Strategy, wait } from "./strategy.ts";

/** One after the other. A member that is skipped for want of credit does not save up turns. */
export class RoundRobin implements Strategy {
  readonly name = "round_robin";
  /** Counts members by the turn they last had; unseen ones come first. */
  readonly #lastTurn = new WeakMap<MemberView, number>();
  #turn = 0;

  pick<M extends MemberView>({ eligible }: Choice<M>): Pick<M> {
    let chosen: M | undefined;
    let oldest = Number.POSITIVE_INFINITY;
    for (const member of eligible) {
      const turn = this.#lastTurn.get(member) ?? 0;
      if (turn >= oldest) continue;
      oldest = turn;
      chosen = member;
    }
    if (chosen === undefined) return wait;
    this.#lastTurn.set(chosen, ++this.#turn);
    return { kind: "picked", member: chosen };
  }
}
