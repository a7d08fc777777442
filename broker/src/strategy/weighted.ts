import { type Choice, type MemberView, type Pick, type Strategy, wait } from "./strategy.ts";

/**
 * In proportion to the members' weights, as evenly mixed as they allow: each choice adds its weight to every eligible
 * member's balance, and who has the most pays for all of them. A member without credit neither gains nor pays.
 * Weight 0 gets what nobody else has credit for.
 *
 * @see https://github.com/nginx/nginx/commit/52327e0627f4 (smooth weighted round robin)
 */
export class Weighted implements Strategy {
  readonly name = "weighted";
  readonly #balance = new WeakMap<MemberView, number>();

  pick<M extends MemberView>({ eligible, members }: Choice<M>): Pick<M> {
    // Nobody comes to be a round ahead or behind by choosing alone; after a change of weights it would last for as many
    // messages as they were large.
    const round = members.reduce((sum, { weight }) => sum + weight, 0);
    let chosen: M | undefined;
    let most = Number.NEGATIVE_INFINITY;
    let total = 0;
    for (const member of eligible) {
      const before = this.#balance.get(member) ?? 0;
      const balance = Math.max(-round, Math.min(round, before)) + member.weight;
      this.#balance.set(member, balance);
      total += member.weight;
      // Without a weight of its own only when there is nobody else.
      const rank = member.weight > 0 ? balance : Number.MIN_SAFE_INTEGER;
      if (rank <= most) continue;
      most = rank;
      chosen = member;
    }
    if (chosen === undefined) return wait;
    this.#balance.set(chosen, (this.#balance.get(chosen) ?? 0) - total);
    return { kind: "picked", member: chosen };
  }
}
