import type { Random } from "../../world/random.ts";
import type { Chooser, Target } from "../pushed-system.ts";

/** Who holds the fewest messages; among equals one at random. */
export class LeastInFlightChooser implements Chooser {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  choose(targets: readonly Target[]): Target {
    let chosen = targets[0] as Target;
    let ties = 0;
    for (const target of targets) {
      const less = target.held.size - chosen.held.size;
      if (less > 0) continue;
      ties = less < 0 ? 1 : ties + 1;
      if (less < 0 || this.#random.uniform() * ties < 1) chosen = target;
    }
    return chosen;
  }
}
