import { type Config, choice, flag, type Program, text } from "@equipoise/shared";
import * as z from "zod";

const speed = z
  .string()
  .refine(
    (value) => /^(realtime|max|\d+(\.\d+)?)$/.test(value) && Number(value) !== 0,
    "must be realtime, max or a positive number",
  );

const settings = {
  once: flag(
    false,
    "replay the recording once, print a summary and end; exit code 0 only if nothing was lost",
  ),
  speed: text("10", "pace of the replay: realtime, max, or N times real time", {
    placeholder: "realtime|max|N",
    schema: speed as z.ZodType<string>,
  }),
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
