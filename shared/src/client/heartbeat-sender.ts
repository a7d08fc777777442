/** Decides when a member speaks: every 250 ms while it works, every 5 s while it does not, at once when told. */
import type { Clock } from "../clock.ts";

const busyPeriodMs = 250;
const idlePeriodMs = 5_000;

export interface HeartbeatSenderOptions {
  clock: Clock;
  random: () => number;
  /** Whether the member has had work since the last call. */
  busy: () => boolean;
  send: () => void;
}

export class HeartbeatSender {
  readonly #options: HeartbeatSenderOptions;
  #cancel: (() => void) | undefined;
  #lastMs = 0;

  constructor(options: HeartbeatSenderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#lastMs = this.#options.clock.monotonicMs();
    this.#wait();
  }

  stop(): void {
    this.#cancel?.();
  }

  sendNow(): void {
    this.#lastMs = this.#options.clock.monotonicMs();
    this.#options.send();
  }

  /** The period varies by a fifth either way, so that members do not speak in step. */
  #wait(): void {
    const { clock, random, busy } = this.#options;
    this.#cancel = clock.after(busyPeriodMs * (0.8 + 0.4 * random()), () => {
      const due = clock.monotonicMs() - this.#lastMs >= idlePeriodMs;
      if (busy() || due) this.sendNow();
      this.#wait();
    });
  }
}
