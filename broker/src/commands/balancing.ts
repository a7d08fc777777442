import { writeFile } from "node:fs/promises";
import {
  type Command,
  ControlClient,
  EquipoiseError,
  limits,
  readArgs,
  reasonOf,
  socketHelp,
  socketOptions,
  usage,
} from "@equipoise/shared";
import {
  type BalancingFormat,
  type BalancingRules,
  type BalancingStrategy,
  balancingFormats,
  encodeBalancing,
} from "@equipoise/shared/balancing";
import { readRules } from "../balancing/rules-file.ts";
import { tuningOf } from "../balancing/tuning.ts";
import type { PoolStatus, PoolsStatus } from "../control/pool-operations.ts";

const help = `equipoise-broker balancing: balancing rules of the running broker's pools, Protobuf as JSON or binary

Usage: equipoise-broker balancing show POOL [--format FORMAT] [--out FILE] [OPTION …]
       equipoise-broker balancing apply FILE [--format FORMAT] [OPTION …]

  --format FORMAT  json or binary; show writes json, apply looks at the file's first byte
  --out FILE       where show writes to, instead of standard output
${socketHelp("broker")}

show writes the strategy, and each member's weight and present health. apply is in force until the broker starts
again: an instance that is DEGRADED or UNHEALTHY is so by your word, HEALTHY leaves it to the checker again, and what
the file does not name stays as it is. Rules that are to last belong into the setting balancingFiles.
`;

const options = { ...socketOptions, format: { type: "string" }, out: { type: "string" } } as const;

export const balancing: Command = {
  help,
  async run(args, env) {
    const { values, positionals } = readArgs(args, options);
    const [action = "", subject, ...more] = positionals;
    if (subject === undefined || more.length > 0)
      throw usage(`balancing ${positionals.join(" ")}: it is balancing show POOL, or apply FILE`);
    const client = new ControlClient("broker", values, env);
    const format = formatOf(values.format);
    if (action === "show") await write(await shown(client, subject, format ?? "json"), values.out);
    else if (action !== "apply") throw usage(`${action} is not one of show, apply`);
    else if (values.out !== undefined) throw usage("--out is for show");
    else await apply(client, await readRules(subject, format));
  },
};

function formatOf(text: string | undefined): BalancingFormat | undefined {
  const format = balancingFormats.find((known) => known === text);
  if (text !== undefined && format === undefined)
    throw usage(`--format is ${text}, must be one of ${balancingFormats.join(", ")}`);
  return format;
}

async function shown(client: ControlClient, pool: string, format: BalancingFormat): Promise<Uint8Array> {
  const { pools } = await client.ask<PoolsStatus>("GET", "/pools");
  const status = pools.find(({ name }) => name === pool);
  if (status === undefined) throw new EquipoiseError("EQ_CONTROL_REFUSED", `there is no pool ${pool}`);
  return encodeBalancing(rulesOf(status), format);
}

/** Guests are left out: the pool that has lent them says how they are. */
function rulesOf({ name, strategy, memberReports }: PoolStatus): BalancingRules {
  const members = memberReports
    .filter(({ guest }) => !guest)
    .map(({ clientId, weight, health }) => {
      // What a member declares of itself has no bound.
      return { clientId, weight: Math.min(weight, limits.maxWeight), health };
    });
  return { pool: name, strategy: strategy as BalancingStrategy, members };
}

async function write(content: Uint8Array, path: string | undefined): Promise<void> {
  if (path === undefined) {
    process.stdout.write(content);
    return;
  }
  try {
    await writeFile(path, content);
  } catch (error) {
    throw new EquipoiseError("EQ_FILE_UNWRITABLE", `--out: ${reasonOf(error)}`, { cause: error });
  }
}

async function apply(client: ControlClient, rules: BalancingRules): Promise<void> {
  await client.ask("POST", `/pools/${encodeURIComponent(rules.pool)}/tune`, tuningOf(rules));
}
