/** Subscribes one connection: the frames at the venue's pace, then its answers. */
import type { Clock } from "@equipoise/shared";
import type { Subscription } from "./venue.ts";

export interface SubscriberOptions {
  subscription: Subscription;
  pauseMs: number;
  clock: Clock;
  send: (frame: string) => void;
  /** All answers are in, or ticks came in place of some. @param complete nothing was refused or left unanswered */
  done: (complete: boolean) => void;
  failed: (reason: string) => void;
}

/** From the last frame to the last answer. */
const answerTimeoutMs = 10_000;

export class Subscriber {
  readonly #options: SubscriberOptions;
  #sent = 0;
  #acks = 0;
  #refused = 0;
  #ticked = false;
  #done = false;
  #cancel: (() => void) | undefined;

  constructor(options: SubscriberOptions) {
    this.#options = options;
  }

  start(): void {
    this.#sendNext();
  }

  stop(): void {
    this.#cancel?.();
  }

  /** Ticks come: some subscription is in force. */
  ticked(): void {
    this.#ticked = true;
  }

  acknowledged(): void {
    this.#acks += 1;
    this.#check();
  }

  /** A subscription was refused for good. @returns true when none is left */
  refused(): boolean {
    this.#refused += 1;
    this.#check();
    return this.#refused >= this.#options.subscription.acks && !this.#ticked;
  }

  #sendNext(): void {
    const { subscription, pauseMs, clock, send } = this.#options;
    const frame = subscription.frames[this.#sent];
    this.#sent += 1;
    if (frame === undefined) {
      this.#cancel = clock.after(answerTimeoutMs, () => this.#late());
      return;
    }
    this.#cancel = clock.after(pauseMs, () => this.#sendNext());
    send(frame);
    this.#check();
  }

  #check(): void {
    const { frames, acks } = this.#options.subscription;
    if (this.#done || this.#sent < frames.length || this.#acks + this.#refused < acks) return;
    if (this.#acks > 0) this.#finish();
  }

  #late(): void {
    if (this.#done) return;
    if (this.#ticked) this.#finish();
    else this.#options.failed(`no answer to the subscription within ${answerTimeoutMs} ms`);
  }

  #finish(): void {
    this.#done = true;
    this.#options.done(this.#acks >= this.#options.subscription.acks);
  }
}
