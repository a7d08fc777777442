import type { Chooser, Target } from "../pushed-system.ts";

/** Smooth weighted round robin, as nginx has it, by the members' true nominal rates. */
export class WeightedChooser implements Chooser {
  readonly #current = new WeakMap<Target, number>();

  choose(targets: readonly Target[]): Target {
    let chosen = targets[0] as Target;
    let total = 0;
    for (const target of targets) {
      const current = (this.#current.get(target) ?? 0) + target.weight;
      this.#current.set(target, current);
      total += target.weight;
      if (current > (this.#current.get(chosen) ?? 0)) chosen = target;
    }
    this.#current.set(chosen, (this.#current.get(chosen) ?? 0) - total);
    return chosen;
  }
}
