import { type Choice, type MemberView, type Pick, type Strategy, wait } from "./strategy.ts";

/** The member with the fewest messages in flight; among equals one at random, so that none is favoured. */
export class LeastConnections implements Strategy {
  readonly name = "least_connections";
  readonly #random: () => number;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  pick<M extends MemberView>({ eligible }: Choice<M>): Pick<M> {
    let chosen: M | undefined;
    let ties = 0;
    for (const member of eligible) {
      if (chosen === undefined || member.inFlight < chosen.inFlight) {
        chosen = member;
        ties = 1;
      } else if (member.inFlight === chosen.inFlight && this.#random() * ++ties < 1) {
        chosen = member;
      }
    }
    return chosen === undefined ? wait : { kind: "picked", member: chosen };
  }

  scoreOf({ inFlight }: MemberView): number {
    return inFlight;
  }
}
