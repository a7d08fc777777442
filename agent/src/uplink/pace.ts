/**
 * How many messages may be in flight: as many as the broker acknowledges without delay. While acknowledgements come
 * about as fast as they ever do here, more are allowed; when they come later, messages only queue up on the way or in
 * the broker, so fewer are, in proportion. A broker that is pressed therefore holds few ticks that would have to be
 * repeated elsewhere.
 *
 * "As fast as they ever do" is the floor, the shortest latency seen. A queue that never empties hides it, and a way
 * may become longer: a floor that has not been seen for a while is measured anew, with hardly anything in flight.
 */

const initial = 32;
const least = 4;
/** Above the floor: what a commit that many messages share may take. */
const headroomMs = 20;
const growth = 1.5;
const measureAfterMs = 30_000;
/** A latency this close to the floor confirms it. */
const asShort = 1.1;

/** As many answers as the limit was when it began. */
interface Round {
  left: number;
  answers: number;
  sumMs: number;
  shortestMs: number;
  /** The limit was reached; without that, short latencies say nothing about a larger one. */
  used: boolean;
}

export class Pace {
  readonly #max: number;
  readonly #min: number;
  #limit: number;
  #floorMs = Number.POSITIVE_INFINITY;
  #floorSeenMs = 0;
  /** This round is for finding the floor. */
  #measuring = false;
  #round: Round;

  constructor(max: number) {
    this.#max = max;
    this.#min = Math.min(least, max);
    this.#limit = Math.min(initial, max);
    this.#round = this.#begin();
  }

  /** Messages. */
  get limit(): number {
    return this.#measuring ? this.#min : Math.floor(this.#limit);
  }

  /** There is a new connection: nothing is known of its way. */
  reset(nowMs: number): void {
    this.#limit = Math.min(initial, this.#max);
    this.#floorMs = Number.POSITIVE_INFINITY;
    this.#floorSeenMs = nowMs;
    this.#measuring = false;
    this.#round = this.#begin();
  }

  /**
   * Notes an acknowledgement.
   * @param inFlight how many messages were in flight when it came, its own included
   * @param nowMs monotonic
   */
  acknowledged(latencyMs: number, inFlight: number, nowMs: number): void {
    // What was sent under the larger limit says nothing about the floor.
    if (this.#measuring && inFlight > this.#min) return;
    const round = this.#round;
    round.answers += 1;
    round.sumMs += latencyMs;
    round.shortestMs = Math.min(round.shortestMs, latencyMs);
    round.used ||= inFlight >= this.limit;
    round.left -= 1;
    if (round.left > 0) return;
    if (this.#measuring) this.#setFloor(round.shortestMs, nowMs);
    else this.#adapt(round, nowMs);
    this.#round = this.#begin();
  }

  #begin(): Round {
    return { left: this.limit, answers: 0, sumMs: 0, shortestMs: Number.POSITIVE_INFINITY, used: false };
  }

  #setFloor(floorMs: number, nowMs: number): void {
    this.#floorMs = floorMs;
    this.#floorSeenMs = nowMs;
    this.#measuring = false;
  }

  #adapt({ answers, sumMs, shortestMs, used }: Round, nowMs: number): void {
    if (shortestMs <= this.#floorMs * asShort) this.#setFloor(Math.min(this.#floorMs, shortestMs), nowMs);
    const allowedMs = this.#floorMs + headroomMs;
    const meanMs = sumMs / answers;
    if (meanMs > allowedMs) {
      this.#limit = Math.max(this.#min, this.#limit * Math.max(0.5, allowedMs / meanMs));
    } else if (used) this.#limit = Math.min(this.#max, this.#limit * growth);
    this.#measuring = nowMs - this.#floorSeenMs > measureAfterMs;
  }
}
