/** Measures what a member says about itself in its heartbeat. */
import { EventLoopDelay } from "../event-loop-delay.ts";
import type { MemberHeartbeat } from "../heartbeat.ts";

/** Weight of the newest message in the smoothed service time. */
const newestShare = 0.1;

export class Load {
  readonly #delay = new EventLoopDelay();
  #serviceTimeMs: number | undefined;
  #errors = 0;
  #cpu = process.cpuUsage();
  #sinceMs = performance.now();

  start(): void {
    this.#delay.start();
  }

  stop(): void {
    this.#delay.stop();
  }

  /** One message has left the handler, after `durationMs`. */
  finished(durationMs: number): void {
    const before = this.#serviceTimeMs ?? durationMs;
    this.#serviceTimeMs = before + newestShare * (durationMs - before);
  }

  failed(): void {
    this.#errors += 1;
  }

  /** What has been measured since the last call. */
  report(): Omit<MemberHeartbeat, "state"> {
    const cpu = this.#cpuShare();
    const eventLoopLagMs = round(this.#delay.quantileMs(0.99));
    this.#delay.reset();
    const errors = this.#errors;
    this.#errors = 0;
    const serviceTimeMs =
      this.#serviceTimeMs === undefined ? {} : { serviceTimeMs: round(this.#serviceTimeMs) };
    return { ...serviceTimeMs, eventLoopLagMs, cpu, errors };
  }

  #cpuShare(): number {
    const { user, system } = process.cpuUsage(this.#cpu);
    const nowMs = performance.now();
    const share = (user + system) / 1_000 / Math.max(1, nowMs - this.#sinceMs);
    this.#cpu = process.cpuUsage();
    this.#sinceMs = nowMs;
    return round(Math.min(1, share));
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
