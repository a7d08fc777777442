/** Ready patterns, so that a device takes three lines in the users file. */
import type { Patterns } from "./grants.ts";

export const roleNames = ["agent", "application", "admin"] as const;
export type Role = (typeof roleNames)[number];

/** All requests but `config`, which changes what an agent subscribes to. */
const questions = ["latest", "range", "resend", "stats", "ping"].map(
  (method) => `agents/+/requests/${method}`,
);

export const roles: Readonly<Record<Role, Patterns>> = {
  /** Sends its own ticks and answers requests; hears brokers' heartbeats and requests to itself. */
  agent: {
    publish: ["ticks/+/+/%c", "last/+/+/%c", "heartbeat/agents/%c", "replies/#"],
    subscribe: ["heartbeat/brokers/+", "agents/%c/#"],
  },
  /** Reads streams, alone or in a pool; asks agents, changes nothing there, and reads what they answer to it. */
  application: {
    publish: ["heartbeat/members/%c", "members/%c/reject", ...questions],
    subscribe: ["ticks/#", "last/#", "heartbeat/#", "replies/%c/#"],
  },
  /** Reads everything and writes everything that is nobody else's to say. */
  admin: {
    publish: ["#"],
    subscribe: ["#", "$SYS/#"],
  },
};
