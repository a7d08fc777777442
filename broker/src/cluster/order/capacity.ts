/** What members can do, told so that shards do not wander: only noticeable changes that last are told. */
import type { Ordered } from "../../pool/feed.ts";

/** Of the way to the present value, each time it is asked for: several times a second. */
const share = 0.02;
const noticeable = 2;

export class Capacity {
  #members = 0;
  #smoothed = 0;
  #told = 0;

  /** Messages a second; 0 without members. Who comes or goes counts at once. */
  told(now: Ordered | undefined): number {
    const { members, perSecond } = now ?? { members: 0, perSecond: 0 };
    if (members !== this.#members) {
      this.#members = members;
      this.#smoothed = perSecond;
      this.#told = Math.ceil(perSecond);
    }
    this.#smoothed += (perSecond - this.#smoothed) * share;
    const change = this.#smoothed / Math.max(1, this.#told);
    if (change > noticeable || change < 1 / noticeable) this.#told = Math.ceil(this.#smoothed);
    return this.#told;
  }
}
