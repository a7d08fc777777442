/** The command line of `npm run sim`. */
import { parseArgs } from "node:util";
import type { Scenario } from "./scenario/scenario.ts";
import { scenarios } from "./scenario/scenarios.ts";
import { type SystemChoice, systems } from "./system/systems.ts";

export interface Options {
  scenarios: readonly Scenario[];
  systems: readonly SystemChoice[];
  seeds: number;
  json: boolean;
  help: boolean;
}

export const usage = `usage: npm run sim -- [--quick] [--only SCENARIO[,…]] [--systems SYSTEM[,…]] [--seeds N] [--json]

  --quick    ${names(scenarios.filter(({ quick }) => quick)).join(", ")}
  --only     of: ${names(scenarios).join(", ")}
  --systems  of: ${names(systems).join(", ")}
  --seeds N  seeds 1 to N, at most 99; 5 without this
  --json     one JSON object instead of the tables
`;

/** @throws Error that says which argument is wrong, and why */
export function readOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const no = { type: "boolean", default: false } as const;
  const options = { quick: no, only: text, systems: text, seeds: text, json: no, help: no };
  const { values } = parseArgs({ args: [...args], options });
  const { seeds = "5", json, help } = values;
  if (!/^[1-9]\d?$/.test(seeds)) throw new Error(`--seeds ${seeds} is not from 1 to 99`);
  return {
    scenarios: pick(scenarios, values.only, "scenario").filter(({ quick }) => quick || !values.quick),
    systems: pick(systems, values.systems, "system"),
    seeds: Number(seeds),
    json,
    help,
  };
}

function names(all: readonly { name: string }[]): string[] {
  return all.map(({ name }) => name);
}

function pick<T extends { name: string }>(
  all: readonly T[],
  list: string | undefined,
  what: string,
): readonly T[] {
  if (list === undefined) return all;
  const wanted = list.split(",");
  const unknown = wanted.find((name) => !names(all).includes(name));
  if (unknown !== undefined)
    throw new Error(`there is no ${what} ${unknown}; there are ${names(all).join(", ")}`);
  return all.filter(({ name }) => wanted.includes(name));
}
