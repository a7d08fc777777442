import { type Config, choice, type Program } from "@equipoise/shared";
import { once, speed } from "../support/settings.ts";

const settings = {
  once,
  speed: speed("10"),
  durability: choice(["disk", "memory"], "disk", "what the demo's broker promises"),
  strategy: choice(
    ["performance_based", "least_connections", "round_robin"],
    "performance_based",
    "how the pool chooses a member",
  ),
};

export type DemoConfig = Config<typeof settings>;

export const program: Program<typeof settings> = {
  name: "npm start --",
  summary: "one broker, one agent replaying recorded trades, and a pool of three members of unequal speed",
  settings,
  examples: [
    "npm start",
    "npm start -- --once --speed max",
    "npm start -- --speed realtime --strategy round_robin",
  ],
};
