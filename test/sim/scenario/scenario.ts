/** Contract of a scenario: members, traffic, and what happens to the members. */
import { type HeartbeatFaults, soundHeartbeats } from "../member/heartbeats.ts";
import type { MemberOptions } from "../member/synthetic-member.ts";
import type { Arrivals, Service } from "../world/traffic.ts";
import type { World } from "../world/world.ts";

export interface MemberSpec extends MemberOptions {
  heartbeats: HeartbeatFaults;
}

/** Plans what happens to the members of a world before it runs. */
export type Disturb = (world: World) => void;

export interface Scenario {
  name: string;
  text: string;
  members: readonly MemberSpec[];
  service: Service;
  arrivals: Arrivals;
  /** Offered work over the members' capacity; those that reject count for what they do not reject. */
  load: number;
  /** Virtual. */
  seconds: number;
  roundTripMs: number;
  disturbances: readonly Disturb[];
  /** Part of `--quick`. */
  quick: boolean;
}

const member: MemberSpec = {
  rate: 1,
  concurrency: 1,
  rejects: 0,
  acknowledgesEarly: false,
  heartbeats: soundHeartbeats,
};

/** Members that differ from a sound one of rate 1 in what is given. */
export function members(...differences: readonly Partial<MemberSpec>[]): MemberSpec[] {
  return differences.map((difference) => ({ ...member, ...difference }));
}

const sound: Omit<Scenario, "name" | "text" | "load"> = {
  members: members({}, {}, {}, {}),
  service: { kind: "exponential", meanMs: 1 },
  arrivals: { kind: "poisson" },
  seconds: 30,
  roundTripMs: 0.3,
  disturbances: [],
  quick: false,
};

/** A scenario that differs in what is given from four equal members of 1 ms under Poisson arrivals. */
export function scenario(
  name: string,
  text: string,
  difference: Partial<Scenario> & { load: number },
): Scenario {
  return { ...sound, name, text, ...difference };
}
