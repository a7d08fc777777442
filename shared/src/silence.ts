/**
 * When a client takes a silent broker for dead: early enough to be connected to another one within 1.5 times its
 * keepalive [MQTT-3.1.2-24], pause before the attempt included. mqtt.js measures silence in steps of half a keepalive,
 * asks with a ping after two and gives up after three; here it is asked earlier, so that the times are shorter.
 *
 * mqtt.js begins anew with every acknowledgement, which must cost next to nothing: one timer runs, and when it is due
 * it looks how long it has been silent in fact. A process that stood still meanwhile reads first what has come.
 */
import type { Timer } from "mqtt";
import type { Clock } from "./clock.ts";
import { afterListening } from "./listening.ts";

/** Of silence, in steps of mqtt.js: 0.8 and 1.2 times the keepalive. */
const pingAfter = 1.6;
const giveUpAfter = 2.4;

/** One client's; tells mqtt.js when to ping and when to give up, for its option `timerVariant`. */
export class Silence implements Timer {
  readonly #clock: Clock;
  /** A step of mqtt.js: at the second it pings, at the third it gives up. */
  #step: (() => void) | undefined;
  #stepMs = 0;
  #heardMs = 0;
  #pingedMs = 0;
  #pinged = false;
  #running = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Silence begins now, and no ping is on its way. */
  set(step: () => void, stepMs = 0): number {
    this.#step = step;
    this.#stepMs = stepMs;
    this.#pinged = false;
    this.heard();
    // A running one was set earlier, so it is due earlier.
    if (!this.#running) this.#wait(stepMs * pingAfter);
    return 1;
  }

  /** The timer that may be left ends by itself. */
  clear(): void {
    this.#step = undefined;
  }

  /** Silence begins now; mqtt.js need not know. */
  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
  }

  #wait(delayMs: number): void {
    this.#running = true;
    afterListening(this.#clock, delayMs, () => {
      this.#running = false;
      this.#look();
    });
  }

  #look(): void {
    const step = this.#step;
    if (step === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#dueMs) {
      step();
      if (this.#pinged) return;
      step();
      this.#pinged = true;
      this.#pingedMs = nowMs;
    }
    this.#wait(Math.max(1, this.#dueMs - nowMs));
  }

  /** A ping that went out late has as much time for its answer as any other. */
  get #dueMs(): number {
    if (!this.#pinged) return this.#heardMs + this.#stepMs * pingAfter;
    const answerMs = this.#stepMs * (giveUpAfter - pingAfter);
    return Math.max(this.#heardMs + this.#stepMs * giveUpAfter, this.#pingedMs + answerMs);
  }
}
