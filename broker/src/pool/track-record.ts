/** What a member has done with its messages, as far as choosing, health and people need to know. Bounded. */
import { ServiceTime } from "../strategy/index.ts";

/** Answers of which the latency percentile is taken, and how many it needs. */
const maxLatencies = 128;
const fewestLatencies = 20;
/** Weight of one message in the error rate; and in how long what failed is forgotten by half. */
const errorShare = 0.1;
const errorHalfLifeMs = 5_000;
const latencyShare = 0.1;
/** Time in which the long-run service time follows the present one. */
const baselineFollowsMs = 60_000;
const shareSlots = 60;
const shareSlotMs = 1_000;

export class TrackRecord {
  readonly service = new ServiceTime();
  readonly #latenciesMs = new Float64Array(maxLatencies);
  #latencies = 0;
  #ackLatencyMs: number | undefined;
  #baselineMs: number | undefined;
  #baselineAtMs = 0;
  #errorRate = 0;
  #errorAtMs = 0;
  #failedSinceReport = 0;
  /** Messages given in each of the last seconds. */
  readonly #taken = new Uint32Array(shareSlots);
  #slot = 0;
  #takenInMinute = 0;
  taken = 0;
  lastTakenAtMs = Number.NEGATIVE_INFINITY;
  settled = 0;
  answers = 0;
  timeouts = 0;
  timeoutsInARow = 0;
  errorsInARow = 0;

  /** It is given a message. */
  takes(nowMs: number): void {
    this.#advance(nowMs);
    this.lastTakenAtMs = nowMs;
    this.taken++;
    this.#takenInMinute++;
    const slot = this.#slot % shareSlots;
    this.#taken[slot] = (this.#taken[slot] as number) + 1;
  }

  acknowledged(latencyMs: number, nowMs: number): void {
    this.service.acknowledged(latencyMs, nowMs);
    this.#latenciesMs[this.#latencies++ % maxLatencies] = latencyMs;
    const before = this.#ackLatencyMs ?? latencyMs;
    this.#ackLatencyMs = before + (latencyMs - before) * latencyShare;
    this.settled++;
    this.answers++;
    this.timeoutsInARow = 0;
    this.errorsInARow = 0;
    if (this.#errorRate > 0) this.#noteError(0, nowMs);
  }

  /** A message that had been taken from it is answered. */
  answeredLate(latencyMs: number): void {
    this.#latenciesMs[this.#latencies++ % maxLatencies] = latencyMs;
  }

  failed(latencyMs: number, nowMs: number): void {
    this.service.failed(latencyMs, nowMs);
    this.answers++;
    this.errorsInARow++;
    this.#failedSinceReport++;
    this.#noteError(1, nowMs);
  }

  timedOut(nowMs: number): void {
    this.timeouts++;
    this.timeoutsInARow++;
    this.#noteError(1, nowMs);
  }

  /** Errors that the member reports and that were not seen here count like one failure in each report. */
  reportedErrors(errors: number, nowMs: number): void {
    if (errors > this.#failedSinceReport) this.#noteError(1, nowMs);
    this.#failedSinceReport = 0;
  }

  /** After an ejection a good answer is a new beginning. */
  forgive(): void {
    this.#errorRate = 0;
  }

  /** Smoothed time from sending to acknowledgement, milliseconds. */
  get ackLatencyMs(): number | undefined {
    return this.#ackLatencyMs;
  }

  /** Share of messages failed of late, 0 to 1. */
  errorRateAt(nowMs: number): number {
    if (this.#errorRate === 0) return 0;
    return this.#errorRate * 0.5 ** ((nowMs - this.#errorAtMs) / errorHalfLifeMs);
  }

  /** Of the last answers, milliseconds. */
  get latencyP99Ms(): number | undefined {
    const count = Math.min(this.#latencies, maxLatencies);
    if (count < fewestLatencies) return undefined;
    const sorted = this.#latenciesMs.slice(0, count).sort();
    return sorted[Math.ceil(count * 0.99) - 1];
  }

  /** The service time in the long run; to be called now and then. */
  baselineMs(nowMs: number): number | undefined {
    const serviceMs = this.service.estimateMs;
    if (serviceMs === undefined) return undefined;
    const passedMs = nowMs - this.#baselineAtMs;
    this.#baselineAtMs = nowMs;
    const before = this.#baselineMs ?? serviceMs;
    this.#baselineMs = before + (serviceMs - before) * (1 - Math.exp(-passedMs / baselineFollowsMs));
    return this.#baselineMs;
  }

  /** Messages that it was given in the last minute. */
  takenInMinute(nowMs: number): number {
    this.#advance(nowMs);
    return this.#takenInMinute;
  }

  /** Empties the slots of seconds that have passed. */
  #advance(nowMs: number): void {
    const slot = Math.floor(nowMs / shareSlotMs);
    if (slot === this.#slot) return;
    const passed = Math.min(shareSlots, slot - this.#slot);
    for (let back = 0; back < passed; back++) {
      const at = (slot - back) % shareSlots;
      this.#takenInMinute -= this.#taken[at] as number;
      this.#taken[at] = 0;
    }
    this.#slot = slot;
  }

  #noteError(error: 0 | 1, nowMs: number): void {
    const before = this.errorRateAt(nowMs);
    const after = before + (error - before) * errorShare;
    this.#errorRate = after < 0.001 ? 0 : after;
    this.#errorAtMs = nowMs;
  }
}
