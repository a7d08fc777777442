/**
 * Decides when a member speaks: every 250 ms while it works, every 5 s while it does not, at once when told or when its
 * queue has become much longer or shorter.
 */
import type { Clock } from "../clock.ts";

const busyPeriodMs = 250;
const idlePeriodMs = 5_000;
/** A queue that crosses a power of two from here on, upwards or back, is told at once, but no sooner than this. */
const firstThreshold = 16;
const shortestPauseMs = 20;

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
  #level = 0;

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

  /** The member's queue has this length now. */
  observe(queueDepth: number): void {
    const level = queueDepth < firstThreshold ? 0 : Math.floor(Math.log2(queueDepth));
    // Going back by one level may only be the next message.
    const crossed = level > this.#level || level < this.#level - 1;
    if (!crossed || this.#options.clock.monotonicMs() - this.#lastMs < shortestPauseMs) return;
    this.#level = level;
    this.sendNow();
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
