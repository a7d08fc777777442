/** Health of all members of one pool, and how far it may be believed. */
import { reasonOf } from "@equipoise/shared";
import type { HealthChecker, MemberSigns, PoolSigns } from "./health.ts";
import type { HealthChange, MemberHealth } from "./member-health.ts";

/** A member with its signs and its state. */
export interface Patient extends MemberSigns {
  /** It gets nothing new, whatever its health. */
  readonly resting: boolean;
  readonly health: MemberHealth;
}

/** Most of a pool that statistics may eject. */
const ejectable = 1 / 3;
/** With less of the capacity left, health is ignored; with this much again, it is believed again. */
const panicBelow = 0.5;
const calmAbove = 0.6;

export interface PoolHealthEvents {
  onChange(patient: Patient, change: HealthChange): void;
  onPanic(panic: boolean): void;
  onCheckerFailed(reason: string): void;
}

export class PoolHealth {
  checker: HealthChecker;
  readonly #events: PoolHealthEvents;
  #panic = false;
  #failed = false;

  constructor(checker: HealthChecker, events: PoolHealthEvents) {
    this.checker = checker;
    this.#events = events;
  }

  /** Too few are left: health is ignored, and credits alone decide. */
  get panic(): boolean {
    return this.#panic;
  }

  /** The checker does not work: nothing that it said is believed. */
  get checkerFailed(): boolean {
    return this.#failed;
  }

  /** Checks every member once. */
  check(patients: readonly Patient[], ackTimeoutMs: number, nowMs: number): void {
    const pool: PoolSigns = {
      members: patients.length,
      medianServiceMs: medianOf(patients.map(({ serviceMs }) => serviceMs)),
      ackTimeoutMs,
    };
    try {
      for (const patient of patients) this.#checkOne(patient, patients, pool, nowMs);
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#events.onCheckerFailed(reasonOf(error));
      this.#failed = true;
    }
    this.#judgePanic(patients, pool.medianServiceMs ?? 1);
  }

  #checkOne(patient: Patient, patients: readonly Patient[], pool: PoolSigns, nowMs: number): void {
    const verdict = this.checker.check(patient, pool, nowMs);
    const ejected = patients.filter(({ health }) => health.state === "UNHEALTHY").length;
    const mayEject = verdict.statistical !== true || ejected + 1 <= patients.length * ejectable;
    const change = patient.health.judge(verdict, nowMs, mayEject);
    if (change !== undefined) this.#events.onChange(patient, change);
  }

  #judgePanic(patients: readonly Patient[], medianMs: number): void {
    let all = 0;
    let left = 0;
    for (const { serviceMs, health, resting } of patients) {
      if (resting) continue;
      const perMs = 1 / Math.max(serviceMs ?? medianMs, 0.001);
      all += perMs;
      if (health.state !== "UNHEALTHY") left += perMs;
    }
    const share = all === 0 ? 1 : left / all;
    const panic = this.#panic ? share < calmAbove : share < panicBelow;
    if (panic === this.#panic) return;
    this.#panic = panic;
    this.#events.onPanic(panic);
  }
}

function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  return known[known.length >> 1];
}
