/**
 * Whether ingest, commit and publish make progress. To have nothing to do is progress; so is to wait for what lies
 * outside and would not be better after a restart: a full buffer, a disk that refuses, a broker that is away or
 * withholds its acknowledgements. Stuck is who has something to do, could do it, and has not for `patienceMs`.
 */
import type { Clock } from "@equipoise/shared";

/** What the stages say at one moment. */
export interface Stages {
  /** Sources wait for room although the buffer has some. */
  intakeWaits: boolean;
  /** Ticks without a commit, of a buffer whose disk does not refuse them. */
  uncommitted: number;
  /** Ticks that are safe, since the start. */
  safe: number;
  connected: boolean;
  /** Attempts to connect, since the start. */
  attempts: number;
  /** Ticks in the buffer that are not acknowledged. */
  waiting: number;
  inFlight: number;
  /** Ticks published, since the start. */
  published: number;
}

export interface LivenessOptions {
  clock: Clock;
  patienceMs: number;
  stages: () => Stages;
}

interface Watched {
  name: string;
  /** What changes with each piece of progress; undefined while there is nothing to do. */
  mark: (stages: Stages) => number | undefined;
}

const watched: readonly Watched[] = [
  { name: "ingest waits for room that there is", mark: (s) => (s.intakeWaits ? s.safe : undefined) },
  { name: "ticks are not committed", mark: (s) => (s.uncommitted > 0 ? s.safe : undefined) },
  {
    name: "ticks are not published although the broker would take them",
    mark: (s) => (s.connected && s.waiting > 0 && s.inFlight === 0 ? s.published : undefined),
  },
  { name: "no attempt to connect", mark: (s) => (s.connected ? undefined : s.attempts) },
];

export class Liveness {
  readonly #options: LivenessOptions;
  readonly #seen = new Map<string, { mark: number; atMs: number }>();

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /** What is stuck, or undefined. It sees what changes from one call to the next. */
  stalled(): string | undefined {
    const { clock, patienceMs, stages } = this.#options;
    const nowMs = clock.monotonicMs();
    const now = stages();
    let stuck: string | undefined;
    for (const { name, mark } of watched) {
      const value = mark(now);
      const seen = this.#seen.get(name);
      if (value === undefined) this.#seen.delete(name);
      else if (seen?.mark !== value) this.#seen.set(name, { mark: value, atMs: nowMs });
      else if (nowMs - seen.atMs >= patienceMs) stuck ??= name;
    }
    return stuck;
  }
}
