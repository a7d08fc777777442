/** A member's comings and goings: it joins, drains, leaves or crashes, and may come back. */
import type { System } from "../system/system.ts";
import type { Random } from "../world/random.ts";
import type { Timeline } from "../world/timeline.ts";
import { Connection } from "./connection.ts";
import { type HeartbeatFaults, Heartbeats } from "./heartbeats.ts";
import type { SyntheticMember } from "./synthetic-member.ts";

export interface PresenceOptions {
  member: SyntheticMember;
  heartbeats: HeartbeatFaults;
  system: System;
  timeline: Timeline;
  random: Random;
}

export class Presence {
  readonly member: SyntheticMember;
  readonly #options: PresenceOptions;
  #connection: Connection | undefined;
  #heartbeats: Heartbeats | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.member = options.member;
  }

  join(): void {
    const { member, heartbeats, system, timeline, random } = this.#options;
    const connection = new Connection(member, timeline);
    const arrived = (heartbeat: Parameters<System["heard"]>[1]) => system.heard(connection, heartbeat);
    member.present = true;
    this.#connection = connection;
    this.#heartbeats = new Heartbeats(member, heartbeats, { timeline, random, arrived });
    this.#heartbeats.start();
    system.joined(connection);
  }

  /** Says that it wants nothing new, and finishes what it has. */
  drain(): void {
    this.#heartbeats?.drain();
  }

  /** @param failed a crash, not a clean end */
  leave(failed: boolean): void {
    const { member, system } = this.#options;
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#heartbeats?.stop();
    member.present = false;
    connection.close();
    member.reset();
    system.left(connection, failed);
  }
}
