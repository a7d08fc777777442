import type { Random } from "../../world/random.ts";
import type { Chooser, Target } from "../pushed-system.ts";

/** Any one. */
export class RandomChooser implements Chooser {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  choose(targets: readonly Target[]): Target {
    return targets[this.#random.index(targets.length)] as Target;
  }
}
