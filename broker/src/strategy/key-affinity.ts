import { hash, hashRange, mix } from "../hash.ts";
import { type Choice, type MemberView, type Pick, type Strategy, wait } from "./strategy.ts";

/** A member takes no further key while it holds this many times its share of what is in flight. */
const loadBound = 1.25;

/**
 * For ordered pools: a key goes to the same member as long as it can. Each pair of key and member has a hash, and the
 * member with the best one that has credit and is within its load gets the key; so a join takes only the keys that are
 * best with the new member, and a leave moves only the keys of who has left. Weights scale the number of keys.
 *
 * @see Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998 (rendezvous hashing)
 * @see Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2017
 */
export class KeyAffinity implements Strategy {
  readonly name = "key_affinity";
  readonly #seeds = new WeakMap<MemberView, number>();

  pick<M extends MemberView>({ eligible, members, key = "" }: Choice<M>): Pick<M> {
    const keyHash = hash(key, 0);
    const bound = boundOf(members);
    let chosen: M | undefined;
    let best = Number.NEGATIVE_INFINITY;
    let within = false;
    for (const member of eligible) {
      const fits = member.inFlight < bound(member);
      const rank = this.#rank(member, keyHash);
      if ((within && !fits) || (within === fits && rank <= best)) continue;
      within = fits;
      best = rank;
      chosen = member;
    }
    return chosen === undefined ? wait : { kind: "picked", member: chosen };
  }

  /** Weighted rendezvous: −weight / ln(uniform of the pair). */
  #rank(member: MemberView, keyHash: number): number {
    const uniform = (mix(keyHash ^ this.#seedOf(member)) + 0.5) / hashRange;
    return -member.weight / Math.log(uniform);
  }

  #seedOf(member: MemberView): number {
    let seed = this.#seeds.get(member);
    if (seed === undefined) {
      seed = hash(member.clientId, 0x9e3779b9);
      this.#seeds.set(member, seed);
    }
    return seed;
  }
}

function boundOf(members: readonly MemberView[]): (member: MemberView) => number {
  let held = 1;
  let weights = 0;
  for (const { inFlight, weight } of members) {
    held += inFlight;
    weights += weight;
  }
  return ({ weight }) => Math.ceil((loadBound * held * weight) / Math.max(weights, Number.MIN_VALUE));
}
