/** Which members messages go to now, by health: the choice among them is the strategy's. */
import type { PoolHealth } from "../health/index.ts";
import type { Member } from "./member.ts";

export interface Candidates {
  /** With free credit. */
  readonly eligible: readonly Member[];
  /** With or without, as far as messages may come to them soon. */
  readonly members: readonly Member[];
  /** One message is for a member that is being tried again. */
  readonly probe: boolean;
}

/**
 * First a half-open member without anything in flight, which gets a probe. Then the healthy; when none of them has
 * credit, the degraded. In a panic, and while the checker fails, everybody.
 */
export class Selection {
  readonly #health: PoolHealth;

  constructor(health: PoolHealth) {
    this.#health = health;
  }

  of(takers: readonly Member[]): Candidates {
    if (this.#health.panic || this.#health.checkerFailed) return candidates(takers);
    let worst = 0;
    for (const { health, state } of takers) {
      if (health.halfOpen) worst = 2;
      else if (worst === 0 && state !== "HEALTHY") worst = 1;
    }
    if (worst === 0) return candidates(takers);
    if (worst === 2) {
      const tried = takers.find(({ health, holding, eligible }) => health.halfOpen && !holding && eligible);
      if (tried !== undefined) return { eligible: [tried], members: [tried], probe: true };
    }
    const healthy = candidates(takers.filter(({ state }) => state === "HEALTHY"));
    if (healthy.eligible.length > 0) return healthy;
    const able = takers.filter(({ state }) => state !== "UNHEALTHY");
    return candidates(able);
  }
}

function candidates(members: readonly Member[]): Candidates {
  const eligible = members.filter((member) => member.eligible);
  // Nobody waits for who rests, or for who may never answer.
  return { eligible, members: members.filter(({ resting, spent }) => !resting && !spent), probe: false };
}
