import type { Random } from "../../world/random.ts";
import type { Timeline } from "../../world/timeline.ts";
import type { Chooser, Target } from "../pushed-system.ts";

/** Time in which what was seen before loses all but 1/e of its weight. */
const decayMs = 10_000;
/** Cost of a member that has not answered anything yet and has something to do. */
const penaltyMs = 1e9;

interface Cost {
  latencyMs: number;
  atMs: number;
}

/**
 * The better of two drawn members, by latency times messages in flight. The latency rises at once and falls slowly.
 * After finagle, `loadbalancer/…/PeakEwma.scala` and `p2c/P2CPick.scala`.
 */
export class PeakEwmaChooser implements Chooser {
  readonly #random: Random;
  readonly #timeline: Timeline;
  readonly #costs = new WeakMap<Target, Cost>();

  constructor(random: Random, timeline: Timeline) {
    this.#random = random;
    this.#timeline = timeline;
  }

  choose(targets: readonly Target[]): Target {
    const one = this.#random.index(targets.length);
    const first = targets[one] as Target;
    if (targets.length === 1) return first;
    const other = this.#random.index(targets.length - 1);
    const second = targets[other < one ? other : other + 1] as Target;
    return this.#load(second) < this.#load(first) ? second : first;
  }

  answered(target: Target, latencyMs: number): void {
    this.#observe(target, latencyMs);
  }

  #load(target: Target): number {
    const { latencyMs } = this.#observe(target, 0);
    const pending = target.held.size;
    return latencyMs === 0 && pending > 0 ? penaltyMs + pending : latencyMs * (pending + 1);
  }

  #observe(target: Target, latencyMs: number): Cost {
    const { nowMs } = this.#timeline;
    const cost = this.#costs.get(target) ?? { latencyMs: 0, atMs: nowMs };
    const kept = Math.exp((cost.atMs - nowMs) / decayMs);
    cost.latencyMs = latencyMs > cost.latencyMs ? latencyMs : cost.latencyMs * kept + latencyMs * (1 - kept);
    cost.atMs = nowMs;
    this.#costs.set(target, cost);
    return cost;
  }
}
