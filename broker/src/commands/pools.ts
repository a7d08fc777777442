import { type Command, ControlClient, controlHelp, controlOptions, readArgs, usage } from "@equipoise/shared";
import { createLogUpdate } from "log-update";
import type { PoolsStatus, PoolTuning } from "../control/pool-operations.ts";
import type { Decision } from "../pool/decisions.ts";
import { decisionTable, poolTable } from "./pool-table.ts";

const help = `equipoise-broker pools: shows the pools of the running broker, why members get what they get, and changes it

Usage: equipoise-broker pools [--watch] [OPTION …]
       equipoise-broker pools explain NAME [OPTION …]
       equipoise-broker pools tune NAME [TUNING …] [OPTION …]
       equipoise-broker pools delete NAME [OPTION …]

  --watch                 show again every second until Ctrl-C

Tuning, in force until the broker starts again:
  --strategy STRATEGY     performance_based, least_connections, weighted, round_robin or key_affinity
  --health CHECKER        basic or advanced
  --weight CLIENT=NUMBER  what CLIENT weighs, whatever it declares; CLIENT= takes that back (repeatable)
  --member CLIENT=HEALTH  UNHEALTHY takes CLIENT out, DEGRADED leaves it what others have no credit for,
                          HEALTHY leaves it to the checker again (repeatable)

${controlHelp("broker")}

A pool with members is not deleted. A declared pool stays, without its backlog and its dead letters.
`;

const options = {
  ...controlOptions,
  watch: { type: "boolean", default: false },
  strategy: { type: "string" },
  health: { type: "string" },
  weight: { type: "string", multiple: true, default: [] as string[] },
  member: { type: "string", multiple: true, default: [] as string[] },
} as const;
const watchPeriodMs = 1_000;

export const pools: Command = {
  help,
  async run(args, env) {
    const { values, positionals } = readArgs(args, options);
    const client = new ControlClient("broker", values, env);
    const [action, name, ...more] = positionals;
    if (action === undefined) return await show(client, values);
    if (name === undefined || more.length > 0)
      throw usage(`pools ${positionals.join(" ")}: it is pools, or pools explain, tune or delete NAME`);
    const path = `/pools/${encodeURIComponent(name)}`;
    if (action === "explain") {
      const decisions = await client.ask<Decision[]>("GET", `${path}/decisions`);
      process.stdout.write(`${values.json ? JSON.stringify(decisions) : decisionTable(decisions)}\n`);
    } else if (action === "tune") await client.ask("POST", `${path}/tune`, tuningOf(values));
    else if (action === "delete") await client.ask("DELETE", path);
    else throw usage(`${action} is not one of explain, tune, delete`);
  },
};

type Values = { strategy?: string; health?: string; weight: string[]; member: string[] };

/** Names are checked by the broker. */
function tuningOf({ strategy, health, weight, member }: Values): PoolTuning {
  const weights = pairs("weight", weight).map(([client, text]) => [client, weightOf(text)]);
  const given = {
    ...(strategy === undefined ? {} : { strategy }),
    ...(health === undefined ? {} : { health }),
    weights: Object.fromEntries(weights),
    members: Object.fromEntries(pairs("member", member)),
  };
  if (strategy === undefined && health === undefined && weight.length + member.length === 0)
    throw usage("nothing to tune: give --strategy, --health, --weight or --member");
  return given as PoolTuning;
}

function weightOf(text: string): number | null {
  if (text === "") return null;
  const weight = Number(text);
  if (!Number.isFinite(weight) || weight < 0) throw usage(`--weight ${text}: must be a number from 0`);
  return weight;
}

/** A client id may hold the sign itself. */
function pairs(flag: string, values: readonly string[]): [string, string][] {
  return values.map((value) => {
    const at = value.lastIndexOf("=");
    if (at < 1) throw usage(`--${flag} ${value}: must be CLIENT=VALUE`);
    return [value.slice(0, at), value.slice(at + 1)];
  });
}

async function show(client: ControlClient, values: { json: boolean; watch: boolean }): Promise<void> {
  const text = async (): Promise<string> => {
    const status = await client.ask<PoolsStatus>("GET", "/pools");
    return values.json ? JSON.stringify(status) : poolTable(status);
  };
  if (values.watch) await watch(text, values.json);
  else process.stdout.write(`${await text()}\n`);
}

/** Until the process is interrupted. */
async function watch(text: () => Promise<string>, lines: boolean): Promise<never> {
  const update = createLogUpdate(process.stdout);
  for (;;) {
    const shown = await text();
    if (lines || !process.stdout.isTTY) process.stdout.write(`${shown}\n`);
    else update(shown);
    await new Promise((resolve) => setTimeout(resolve, watchPeriodMs));
  }
}
