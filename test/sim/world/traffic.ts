/** Draws the messages of a run. Everything comes from its own streams of the seed: no system can change it. */
import type { Message } from "./message.ts";
import { Random } from "./random.ts";

/** How long a message takes a member of rate 1. */
export type Service =
  | { kind: "constant"; meanMs: number }
  | { kind: "exponential"; meanMs: number }
  | { kind: "lognormal"; meanMs: number; variation: number };

/** Bursts: exponential periods of Poisson arrivals with silence between them, together as many as `poisson`. */
export type Arrivals = { kind: "poisson" } | { kind: "bursty"; meanBurstMs: number; share: number };

export interface TrafficOptions {
  seed: number;
  /** Mean, with all bursts and silences. */
  perSecond: number;
  arrivals: Arrivals;
  service: Service;
  /** Mean network round trip; each way varies by a fifth. */
  roundTripMs: number;
}

const jitter = 0.2;

export class Traffic {
  readonly #options: TrafficOptions;
  readonly #arrivals: Random;
  readonly #demands: Random;
  readonly #network: Random;
  #id = 0;
  #atMs = 0;
  #burstLeftMs = 0;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#arrivals = new Random(options.seed, "arrivals");
    this.#demands = new Random(options.seed, "demands");
    this.#network = new Random(options.seed, "network");
  }

  /** The next message; they come in order of time. */
  next(): Message {
    this.#atMs += this.#gapMs();
    return {
      id: this.#id++,
      intendedMs: this.#atMs,
      demandMs: this.#demandMs(),
      luck: this.#demands.uniform(),
      outMs: this.#oneWayMs(),
      backMs: this.#oneWayMs(),
    };
  }

  #gapMs(): number {
    const { arrivals, perSecond } = this.#options;
    const meanMs = 1_000 / perSecond;
    if (arrivals.kind === "poisson") return this.#arrivals.exponential(meanMs);
    const { meanBurstMs, share } = arrivals;
    let silenceMs = 0;
    let gapMs = this.#arrivals.exponential(meanMs * share);
    while (gapMs > this.#burstLeftMs) {
      // Exponential gaps have no memory: what is left of one behind a burst is as good as a new one.
      silenceMs += this.#burstLeftMs + this.#arrivals.exponential((meanBurstMs * (1 - share)) / share);
      this.#burstLeftMs = this.#arrivals.exponential(meanBurstMs);
      gapMs = this.#arrivals.exponential(meanMs * share);
    }
    this.#burstLeftMs -= gapMs;
    return silenceMs + gapMs;
  }

  #demandMs(): number {
    const { service } = this.#options;
    if (service.kind === "constant") return service.meanMs;
    if (service.kind === "exponential") return this.#demands.exponential(service.meanMs);
    return this.#demands.lognormal(service.meanMs, service.variation);
  }

  #oneWayMs(): number {
    return (this.#options.roundTripMs / 2) * this.#network.between(1 - jitter, 1 + jitter);
  }
}
