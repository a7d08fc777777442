/** What a member says of itself: on time and true, or lost, late or a lie. */
import type { MemberHeartbeat } from "@equipoise/shared";
import type { Random } from "../world/random.ts";
import type { Timeline } from "../world/timeline.ts";
import type { SyntheticMember } from "./synthetic-member.ts";

export interface HeartbeatFaults {
  /** Share that never arrives. */
  lost: number;
  lateMs: number;
  /** It claims to have nothing to do and to be fast, or to be busy when it is not. */
  lies: "idle" | "busy" | "queue" | undefined;
}

export const soundHeartbeats: HeartbeatFaults = { lost: 0, lateMs: 0, lies: undefined };

/** As the helper of shared/client does it: the period varies by a fifth either way. */
const periodMs = 250;

export class Heartbeats {
  readonly #member: SyntheticMember;
  readonly #faults: HeartbeatFaults;
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #arrived: (heartbeat: MemberHeartbeat) => void;
  #stopped = false;
  #busyMs = 0;
  #lastMs: number;

  constructor(
    member: SyntheticMember,
    faults: HeartbeatFaults,
    surroundings: { timeline: Timeline; random: Random; arrived: (heartbeat: MemberHeartbeat) => void },
  ) {
    this.#member = member;
    this.#faults = faults;
    this.#timeline = surroundings.timeline;
    this.#random = surroundings.random;
    this.#arrived = surroundings.arrived;
    this.#busyMs = member.busyMs;
    this.#lastMs = this.#timeline.nowMs;
  }

  start(): void {
    this.#wait();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Says it now, and truthfully: a member that drains means it. */
  drain(): void {
    this.#stopped = true;
    this.#arrived({ ...this.#truth(), state: "draining" });
  }

  #wait(): void {
    this.#timeline.after(periodMs * this.#random.between(0.8, 1.2), () => {
      if (this.#stopped) return;
      // A frozen process says nothing.
      if (this.#member.speed > 0) this.#say();
      this.#wait();
    });
  }

  #say(): void {
    const heartbeat = this.#told();
    if (this.#random.uniform() < this.#faults.lost) return;
    if (this.#faults.lateMs === 0) return this.#arrived(heartbeat);
    this.#timeline.after(this.#faults.lateMs, () => {
      if (!this.#stopped) this.#arrived(heartbeat);
    });
  }

  #told(): MemberHeartbeat {
    const truth = this.#truth();
    const { lies } = this.#faults;
    if (lies === "idle") return { ...truth, queueDepth: 0, serviceTimeMs: 0.01, cpu: 0.01, errors: 0 };
    if (lies === "busy") return { ...truth, queueDepth: 1_000, serviceTimeMs: 1_000, cpu: 1 };
    if (lies === "queue") return { ...truth, queueDepth: 40 };
    return truth;
  }

  #truth(): MemberHeartbeat {
    const member = this.#member;
    const { serviceTimeMs, errors, lagMs } = member;
    const elapsedMs = this.#timeline.nowMs - this.#lastMs;
    const cpu = elapsedMs > 0 ? Math.min(1, (member.busyMs - this.#busyMs) / elapsedMs) : 0;
    this.#busyMs = member.busyMs;
    this.#lastMs = this.#timeline.nowMs;
    member.errors = 0;
    member.lagMs = 0;
    const times = serviceTimeMs === undefined ? {} : { serviceTimeMs };
    return { state: "up", queueDepth: member.depth, eventLoopLagMs: lagMs, cpu, errors, ...times };
  }
}
