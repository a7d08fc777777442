import { type Config, choice, integer, type Program } from "@equipoise/shared";
import { once, speed } from "../support/settings.ts";

const settings = {
  once,
  speed: speed("20"),
  kill: choice(
    ["nothing", "broker", "primary", "both"],
    "nothing",
    "what is killed with -9 again and again, and started anew: a broker, the primary, or both in turn",
  ),
  killEveryMs: integer(15_000, "pause between a recovery and the next kill", {
    min: 1_000,
    placeholder: "MS",
  }),
};

export type ClusterConfig = Config<typeof settings>;

export const program: Program<typeof settings> = {
  name: "npm run cluster --",
  summary:
    "three brokers on a Redis primary with two replicas and three Sentinels, an agent and a pool over all",
  settings,
  examples: ["npm run cluster", "npm run cluster -- --kill both", "npm run cluster -- --once --kill both"],
};
