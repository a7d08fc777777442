import type { Chooser, Target } from "../pushed-system.ts";

/** One after the other. */
export class RoundRobinChooser implements Chooser {
  #turn = 0;

  choose(targets: readonly Target[]): Target {
    return targets[this.#turn++ % targets.length] as Target;
  }
}
