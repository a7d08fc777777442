/** Replays at the pace of the recorded times, or a multiple of it. */
import type { Clock } from "@equipoise/shared";

/** A longer silence in a recording is not waited for; it is a hole or a damaged time. */
const maxSilenceMs = 3_600_000;

export class Pacer {
  readonly #clock: Clock;
  readonly #speed: number;
  #originUs: number | undefined;
  #originMs = 0;
  #wake: (() => void) | undefined;

  /** @param speed 1 is real pace, 10 ten times as fast, Infinity no waiting at all */
  constructor(clock: Clock, speed: number) {
    this.#clock = clock;
    this.#speed = speed;
  }

  /** The next recorded time is due at once: the beginning of a pass. */
  begin(): void {
    this.#originUs = undefined;
  }

  /** What to await until a record of this time is due; undefined when it is due already. */
  until(recordedTimeUs: number): Promise<void> | undefined {
    if (this.#speed === Number.POSITIVE_INFINITY) return undefined;
    const nowMs = this.#clock.monotonicMs();
    this.#originUs ??= this.#rebase(recordedTimeUs, nowMs);
    const dueMs = this.#originMs + (recordedTimeUs - this.#originUs) / 1000 / this.#speed;
    const waitMs = dueMs - nowMs;
    if (waitMs > maxSilenceMs) this.#rebase(recordedTimeUs, nowMs);
    if (waitMs <= 0 || waitMs > maxSilenceMs) return undefined;
    return new Promise((resolve) => {
      const cancel = this.#clock.after(Math.ceil(waitMs), resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Ends a wait that is under way. */
  stop(): void {
    this.#wake?.();
  }

  #rebase(recordedTimeUs: number, nowMs: number): number {
    this.#originMs = nowMs;
    this.#originUs = recordedTimeUs;
    return recordedTimeUs;
  }
}

/** The factor of a `--speed` value: `realtime`, `max` or a number. */
export function speedFactor(text: string): number {
  if (text === "realtime") return 1;
  return text === "max" ? Number.POSITIVE_INFINITY : Number(text);
}
