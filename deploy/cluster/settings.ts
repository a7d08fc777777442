import { type Config, choice, flag, integer, type Program, text } from "@equipoise/shared";
import * as z from "zod";

const speed = z
  .string()
  .refine((value) => value === "max" || Number(value) > 0, "must be max or a positive number");

const settings = {
  once: flag(
    false,
    "replay the recording once, print a summary and end; exit code 0 only if nothing was lost",
  ),
  speed: text("20", "pace of the replay: max, or N times real time", {
    placeholder: "max|N",
    schema: speed as z.ZodType<string>,
  }),
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
