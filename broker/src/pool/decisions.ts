/** A sample of a pool's choices, for people who ask why a member got a message. Bounded: the newest are kept. */
import { Deque } from "@equipoise/shared";

const maxDecisions = 64;
/** At most one choice in so long is kept. */
const samplePeriodMs = 100;

/** One member as a choice saw it. */
export interface Weighed {
  clientId: string;
  /** What the strategy went by, less is better; null where it goes by no number. */
  score: number | null;
  inFlight: number;
  credit: number;
}

export interface Decision {
  /** Milliseconds since 1970. */
  timeMs: number;
  topic: string;
  /** Messages that waited. */
  waiting: number;
  /** The member that got the message; null when it waits for a better one. */
  picked: string | null;
  weighed: Weighed[];
  /** Who was left out although connected, and why. */
  leftOut: { clientId: string; reason: string }[];
}

export class Decisions {
  readonly #kept = new Deque<Decision>();
  #nextAtMs = Number.NEGATIVE_INFINITY;

  /** Whether the next choice is to be kept. */
  due(nowMs: number): boolean {
    return nowMs >= this.#nextAtMs;
  }

  keep(decision: Decision, nowMs: number): void {
    this.#nextAtMs = nowMs + samplePeriodMs;
    this.#kept.push(decision);
    if (this.#kept.length > maxDecisions) this.#kept.shift();
  }

  /** Oldest first. */
  list(): Decision[] {
    return Array.from({ length: this.#kept.length }, (_, at) => this.#kept.at(at) as Decision);
  }
}
