/** Everything of one run: its time, its members, its traffic and the system that is to bring one to the other. */
import { Presence } from "../member/presence.ts";
import { SyntheticMember } from "../member/synthetic-member.ts";
import type { Scenario } from "../scenario/scenario.ts";
import type { System, SystemSurroundings } from "../system/system.ts";
import { Ledger } from "./ledger.ts";
import { Random } from "./random.ts";
import { Timeline } from "./timeline.ts";
import { Traffic } from "./traffic.ts";

/** What is measured begins after this: everything has found its level by then. */
const warmUpMs = 3_000;
/** How long after the last arrival the rest may take. */
const afterMs = 60_000;

export interface Tally {
  completed: number;
  rejected: number;
  capacityMs: number;
}

export class World {
  readonly timeline = new Timeline();
  readonly ledger: Ledger;
  readonly presences: readonly Presence[];
  /** For disturbances: the same for every system. */
  readonly random: Random;
  readonly warmUpMs = warmUpMs;
  readonly system: System;
  /** By member, for the time from the warm-up to the last arrival. */
  tallies: Tally[] = [];
  /** The last arrival; infinite before it. */
  endMs = Number.POSITIVE_INFINITY;
  readonly #scenario: Scenario;
  readonly #traffic: Traffic;
  readonly #messages: number;

  constructor(scenario: Scenario, seed: number, makeSystem: (surroundings: SystemSurroundings) => System) {
    const { timeline } = this;
    this.#scenario = scenario;
    const perSecond = perSecondOf(scenario);
    this.#messages = Math.round(perSecond * scenario.seconds);
    this.#traffic = new Traffic({ ...scenario, seed, perSecond });
    this.random = new Random(seed, "disturbances");
    this.ledger = new Ledger(this.#messages);
    const { ledger } = this;
    this.system = makeSystem({ timeline, ledger, random: new Random(seed, "choices") });
    this.presences = scenario.members.map(({ heartbeats, ...options }, index) => {
      const member = new SyntheticMember(`member-${index}`, options, { timeline, ledger });
      const random = new Random(seed, `heartbeats ${index}`);
      return new Presence({ member, heartbeats, system: this.system, timeline, random });
    });
  }

  run(): void {
    for (const presence of this.presences) presence.join();
    for (const disturbance of this.#scenario.disturbances) disturbance(this);
    this.timeline.after(warmUpMs, () => {
      for (const { member } of this.presences) member.beginCounting();
    });
    this.#arrive();
    this.timeline.run(this.#scenario.seconds * 1_000 * 1.5 + afterMs, () => this.ledger.outstanding === 0);
  }

  #arrive(): void {
    const message = this.#traffic.next();
    this.timeline.after(message.intendedMs - this.timeline.nowMs, () => {
      this.ledger.offered(message);
      this.system.offer(message);
      if (message.id + 1 < this.#messages) this.#arrive();
      else this.#end();
    });
  }

  #end(): void {
    this.endMs = this.timeline.nowMs;
    this.tallies = this.presences.map(({ member }) => ({
      completed: member.completed,
      rejected: member.rejected,
      capacityMs: member.capacityMs(),
    }));
  }
}

/** Offered messages per second: the load of the capacity that is meant to be there. */
function perSecondOf({ members, service, load }: Scenario): number {
  const rates = members.map(({ rate, concurrency, rejects }) => rate * concurrency * (1 - rejects));
  const capacity = rates.reduce((sum, rate) => sum + rate, 0);
  return (load * capacity * 1_000) / service.meanMs;
}
