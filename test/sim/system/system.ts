/** Contract of what is compared: something that brings every message to one of the members. */
import type { MemberHeartbeat } from "@equipoise/shared";
import type { Connection } from "../member/connection.ts";
import type { Ledger } from "../world/ledger.ts";
import type { Message } from "../world/message.ts";
import type { Random } from "../world/random.ts";
import type { Timeline } from "../world/timeline.ts";

export interface System {
  /** Changes of members' health so far. */
  readonly flaps: number;
  joined(connection: Connection): void;
  /** The connection has ended; what it held must be delivered again. */
  left(connection: Connection, failed: boolean): void;
  heard(connection: Connection, heartbeat: MemberHeartbeat): void;
  offer(message: Message): void;
}

export interface SystemSurroundings {
  timeline: Timeline;
  ledger: Ledger;
  /** For choices only; the traffic has its own. */
  random: Random;
}

/** Attempts after which a rejected message is given up, by every system alike. */
export const maxDeliveries = 5;
