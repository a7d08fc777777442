/**
 * The state of one member, made from many verdicts: a single one changes nothing unless it is proof, and no state is
 * left before it has lasted for a while.
 *
 * HEALTHY ⇄ DEGRADED → UNHEALTHY → half-open → DEGRADED → HEALTHY. An unhealthy member is ejected for a time that
 * doubles with each ejection, then half-open: it gets one message at a time, and the answer decides.
 */
import type { HealthState, Verdict } from "./health.ts";

/** How long a member must have been found well before it is healthier. */
const dwellMs = 2_000;
const firstEjectionMs = 1_000;
const longestEjectionMs = 60_000;
/** A member that has been healthy for so long has its ejections forgotten, one after the other. */
const forgivenAfterMs = 60_000;

export interface HealthChange {
  from: HealthState;
  to: HealthState;
  reason: string;
}

export class MemberHealth {
  readonly #random: () => number;
  #state: HealthState = "HEALTHY";
  #reason = "";
  #changedAtMs: number;
  /** Since when each check has found it worse than its state, and UNHEALTHY; `undefined` when the last one has not. */
  #worseSinceMs: number | undefined;
  #unhealthySinceMs: number | undefined;
  /** When something was last found against it. */
  #unwellAtMs: number;
  #ejections = 0;
  #forgivenAtMs = 0;
  #ejectedUntilMs = 0;
  /** Its state was found by silence. */
  #silent = false;
  #halfOpen = false;
  #probeSucceeded = false;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number, nowMs: number) {
    this.#random = random;
    this.#changedAtMs = nowMs;
    this.#unwellAtMs = nowMs;
  }

  get state(): HealthState {
    return this.#state;
  }

  /** Of the last change, for people. */
  get reason(): string {
    return this.#reason;
  }

  /** Monotonic. */
  get changedAtMs(): number {
    return this.#changedAtMs;
  }

  /** Ejected, and due to be tried with one message. */
  get halfOpen(): boolean {
    return this.#halfOpen;
  }

  /** A message was answered well; in the half-open state that decides. */
  succeeded(): void {
    if (this.#halfOpen) this.#probeSucceeded = true;
  }

  /** A message failed. */
  failed(nowMs: number): void {
    if (!this.#halfOpen) return;
    this.#eject(nowMs);
  }

  /**
   * Takes the verdict of one check.
   * @param mayEject whether the pool can do without one more member, when the verdict is statistical
   */
  judge(verdict: Verdict, nowMs: number, mayEject: boolean): HealthChange | undefined {
    if (verdict.state !== "HEALTHY") this.#unwellAtMs = nowMs;
    if (this.#silent && verdict.silent !== true) return this.#heardAgain(verdict, nowMs);
    if (this.#state === "UNHEALTHY") return this.#judgeEjected(verdict, nowMs);
    const state = verdict.state === "UNHEALTHY" && !mayEject ? "DEGRADED" : verdict.state;
    if (state !== "UNHEALTHY") this.#unhealthySinceMs = undefined;
    if (rank(state) > rank(this.#state)) return this.#judgeWorse(state, verdict, nowMs);
    this.#worseSinceMs = undefined;
    this.#forgive(nowMs);
    if (this.#state === "DEGRADED" && state === "HEALTHY" && nowMs - this.#unwellAtMs >= dwellMs)
      return this.#change("HEALTHY", `well for ${Math.round(dwellMs / 1_000)} s`, nowMs);
    return undefined;
  }

  #judgeWorse(state: HealthState, verdict: Verdict, nowMs: number): HealthChange | undefined {
    this.#worseSinceMs ??= nowMs;
    if (state === "UNHEALTHY") this.#unhealthySinceMs ??= nowMs;
    const sinceMs = state === "UNHEALTHY" ? this.#unhealthySinceMs : this.#worseSinceMs;
    if (nowMs - (sinceMs ?? nowMs) < verdict.afterMs) return undefined;
    this.#worseSinceMs = undefined;
    this.#unhealthySinceMs = undefined;
    if (state === "UNHEALTHY") this.#eject(nowMs);
    const change = this.#change(state, verdict.reason, nowMs);
    this.#silent = verdict.silent === true;
    return change;
  }

  /** What is wrong besides will be found by the next checks. */
  #heardAgain({ state, reason }: Verdict, nowMs: number): HealthChange {
    this.#halfOpen = false;
    if (state === "HEALTHY") return this.#change("HEALTHY", "heard again", nowMs);
    return this.#change("DEGRADED", reason, nowMs);
  }

  #judgeEjected(verdict: Verdict, nowMs: number): HealthChange | undefined {
    if (this.#probeSucceeded) {
      this.#halfOpen = false;
      this.#probeSucceeded = false;
      this.#unwellAtMs = nowMs;
      return this.#change("DEGRADED", "it answered a probe", nowMs);
    }
    if (this.#halfOpen && verdict.state === "UNHEALTHY" && verdict.statistical !== true) this.#eject(nowMs);
    else if (!this.#halfOpen && nowMs >= this.#ejectedUntilMs) this.#halfOpen = true;
    return undefined;
  }

  #eject(nowMs: number): void {
    const mostMs = Math.min(longestEjectionMs, firstEjectionMs * 2 ** this.#ejections);
    this.#ejections = Math.min(this.#ejections + 1, 16);
    this.#halfOpen = false;
    this.#probeSucceeded = false;
    this.#ejectedUntilMs = nowMs + mostMs * (0.75 + 0.5 * this.#random());
  }

  #forgive(nowMs: number): void {
    if (this.#state !== "HEALTHY" || this.#ejections === 0) return;
    if (nowMs - Math.max(this.#changedAtMs, this.#forgivenAtMs) < forgivenAfterMs) return;
    this.#ejections--;
    this.#forgivenAtMs = nowMs;
  }

  #change(to: HealthState, reason: string, nowMs: number): HealthChange {
    const from = this.#state;
    this.#state = to;
    this.#silent = false;
    this.#reason = reason;
    this.#changedAtMs = nowMs;
    return { from, to, reason };
  }
}

const rank = (state: HealthState): number => (state === "HEALTHY" ? 0 : state === "DEGRADED" ? 1 : 2);
