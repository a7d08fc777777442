/**
 * A member that works in virtual time: it takes messages in order, `concurrency` at once, at a speed that may change
 * while it works. What it says of itself is another matter: see heartbeats.ts.
 */
import { Deque } from "@equipoise/shared";
import type { Ledger } from "../world/ledger.ts";
import type { Message } from "../world/message.ts";
import type { Timeline } from "../world/timeline.ts";

export interface MemberOptions {
  /** Speed against a member of rate 1. */
  rate: number;
  /** Messages that it works on at once, each at its whole rate. */
  concurrency: number;
  /** Share of its messages that it rejects, at once. */
  rejects: number;
  /** It acknowledges what it has not worked on yet. */
  acknowledgesEarly: boolean;
}

export type Answer = "acknowledged" | "rejected";

interface Job {
  message: Message;
  answer: (answer: Answer) => void;
  rejected: boolean;
  leftMs: number;
  sinceMs: number;
  /** When it will end; NaN while that is not known. */
  dueMs: number;
}

/** What it costs a member of rate 1 to reject a message. */
const rejectionMs = 0.05;
const smoothing = 0.1;
const ignore = (): void => {};

export class SyntheticMember {
  readonly name: string;
  readonly options: Readonly<MemberOptions>;
  readonly #timeline: Timeline;
  readonly #ledger: Ledger;
  readonly #queue = new Deque<Job>();
  readonly #serving = new Set<Job>();
  /** Answers that a frozen member has not given yet. */
  readonly #unsaid: (() => void)[] = [];
  #rejects: number;
  #present = false;
  #slowdown = 1;
  #frozenSinceMs = 0;
  #capacityMs = 0;
  #capacitySinceMs = 0;
  #busyMs = 0;
  /** First completions. */
  completed = 0;
  rejected = 0;
  /** Rejections since somebody last set it to 0. */
  errors = 0;
  /** The longest freeze since somebody last set it to 0. */
  lagMs = 0;
  serviceTimeMs: number | undefined;

  constructor(name: string, options: MemberOptions, surroundings: { timeline: Timeline; ledger: Ledger }) {
    this.name = name;
    this.options = options;
    this.#rejects = options.rejects;
    this.#timeline = surroundings.timeline;
    this.#ledger = surroundings.ledger;
  }

  /** Work per millisecond of one message; 0 while it is frozen. */
  get speed(): number {
    return this.options.rate / this.#slowdown;
  }

  /** Messages taken and not finished. */
  get depth(): number {
    return this.#queue.length + this.#serving.size;
  }

  /** Time spent working, all messages together. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** Connected; its presence says so. */
  set present(present: boolean) {
    this.#countCapacity();
    this.#present = present;
  }

  /** Rejects this share of its messages from now on. */
  reject(share: number): void {
    this.#countCapacity();
    this.#rejects = share;
  }

  willReject({ luck }: Message): boolean {
    return luck < this.#rejects;
  }

  /**
   * Takes a message off the wire.
   * @param ended told how its work ended
   * @param taken called instead, beforehand, if it acknowledges early
   */
  receive(message: Message, ended: (answer: Answer) => void, taken?: () => void): void {
    const rejected = this.willReject(message);
    const early = taken !== undefined && this.options.acknowledgesEarly && !rejected;
    const leftMs = rejected ? rejectionMs : message.demandMs;
    const answer = early ? ignore : ended;
    this.#queue.push({ message, answer, rejected, leftMs, sinceMs: 0, dueMs: Number.NaN });
    this.#work();
    if (early) this.#say(taken);
  }

  /** Slower by a factor from now on, also in what it is working on; 1 is its own rate, infinity is frozen. */
  slow(factor: number): void {
    this.#countCapacity();
    const nowMs = this.#timeline.nowMs;
    for (const job of this.#serving) job.leftMs -= (nowMs - job.sinceMs) * this.speed;
    if (this.speed > 0 && factor === Number.POSITIVE_INFINITY) this.#frozenSinceMs = nowMs;
    if (this.speed === 0) this.lagMs = Math.max(this.lagMs, nowMs - this.#frozenSinceMs);
    this.#slowdown = factor;
    for (const job of this.#serving) this.#schedule(job);
    if (this.speed > 0) for (const say of this.#unsaid.splice(0)) say();
  }

  /** Its process ends: all that it had is gone. */
  reset(): void {
    this.#queue.clear();
    for (const job of this.#serving) job.dueMs = Number.NaN;
    this.#serving.clear();
    this.#unsaid.length = 0;
  }

  /** Forgets what was counted before, for the measures. */
  beginCounting(): void {
    this.completed = 0;
    this.rejected = 0;
    this.#capacityMs = 0;
    this.#capacitySinceMs = this.#timeline.nowMs;
  }

  /** Work that it could have done since counting began, in milliseconds of rate 1. */
  capacityMs(): number {
    this.#countCapacity();
    return this.#capacityMs;
  }

  /** When each of its places is free, as things are; infinite while frozen. */
  placesFreeMs(): number[] {
    const nowMs = this.#timeline.nowMs;
    const free = Array.from(this.#serving, ({ leftMs, sinceMs }) =>
      this.speed === 0 ? Number.POSITIVE_INFINITY : sinceMs + leftMs / this.speed,
    );
    while (free.length < this.options.concurrency) free.push(nowMs);
    return free;
  }

  #countCapacity(): void {
    const nowMs = this.#timeline.nowMs;
    const rate = this.#present ? this.speed * this.options.concurrency * (1 - this.#rejects) : 0;
    this.#capacityMs += rate * (nowMs - this.#capacitySinceMs);
    this.#capacitySinceMs = nowMs;
  }

  #work(): void {
    while (this.#serving.size < this.options.concurrency) {
      const job = this.#queue.shift();
      if (job === undefined) return;
      this.#serving.add(job);
      this.#schedule(job);
    }
  }

  #schedule(job: Job): void {
    job.sinceMs = this.#timeline.nowMs;
    if (this.speed === 0) {
      job.dueMs = Number.NaN;
      return;
    }
    const delayMs = Math.max(0, job.leftMs) / this.speed;
    job.dueMs = job.sinceMs + delayMs;
    this.#timeline.after(delayMs, () => {
      // The speed has changed since: another event stands for this job, or none.
      if (job.dueMs === this.#timeline.nowMs) this.#finish(job);
    });
  }

  #finish(job: Job): void {
    job.dueMs = Number.NaN;
    this.#serving.delete(job);
    const tookMs = (job.rejected ? rejectionMs : job.message.demandMs) / this.speed;
    this.#busyMs += tookMs;
    if (job.rejected) {
      this.errors++;
      this.rejected++;
    } else this.#completed(job.message, tookMs);
    this.#work();
    job.answer(job.rejected ? "rejected" : "acknowledged");
  }

  #completed(message: Message, tookMs: number): void {
    if (this.#ledger.completed(message, this.#timeline.nowMs)) this.completed++;
    const before = this.serviceTimeMs ?? tookMs;
    this.serviceTimeMs = before + smoothing * (tookMs - before);
  }

  #say(taken: () => void): void {
    if (this.speed === 0) this.#unsaid.push(taken);
    else taken();
  }
}
