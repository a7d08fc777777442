/** `npm run bench`: see docs/benchmarks.md. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Spread } from "../support/spread.ts";
import { readRecorded, writeRecorded } from "./recorded.ts";
import { runRounds, spreadOfRow } from "./rounds.ts";
import { agentDrain } from "./scenario/agent-drain.ts";
import { agentLive } from "./scenario/agent-live.ts";
import { agentResident, agentResidentLong } from "./scenario/agent-resident.ts";
import { agentThroughput } from "./scenario/agent-throughput.ts";
import { agentWear } from "./scenario/agent-wear.ts";
import { backlog, backlogSingles } from "./scenario/backlog.ts";
import { balance2000, balance2800, equal, freeze, saturation } from "./scenario/balance.ts";
import { cluster, clusterOrdered } from "./scenario/cluster.ts";
import { clusterBalance } from "./scenario/cluster-balance.ts";
import { decision } from "./scenario/decision.ts";
import { busy, quiet } from "./scenario/latency.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { fanOut, plain, pool } from "./scenario/throughput.ts";
import { Cleanup } from "./subject/cleanup.ts";
import { subjectNames } from "./subject/subject.ts";
import { type Surroundings, surroundings } from "./surroundings.ts";
import { describe, type Measured, table } from "./table.ts";

const scenarios: readonly Scenario[] = [
  ...[pool, plain, fanOut, busy, quiet, backlog, backlogSingles, cluster, clusterOrdered],
  ...[balance2000, balance2800, saturation, equal, freeze, decision, clusterBalance],
  ...[agentThroughput, agentLive, agentWear, agentDrain, agentResident, agentResidentLong],
];

const usage = `usage: npm run bench -- [--only NAME]… [--subject NAME]… [--rounds N] [--record] [--json] [--profile DIR]

  --only NAME     one of: ${scenarios.map(({ name, onRequest }) => (onRequest ? `${name} (only so)` : name)).join(", ")}
  --subject NAME  one of: ${subjectNames.join(", ")}
  --rounds N      instead of the scenario's own number
  --record        write test/bench/recorded.json
  --json          print one JSON object instead of the table
  --profile DIR   Equipoise writes CPU profiles there; its figures are worse for it
`;

const builder = fileURLToPath(new URL("../../deploy/release/build.mjs", import.meta.url));

const many = { type: "string", multiple: true } as const;
const one = { type: "string" } as const;
const no = { type: "boolean", default: false } as const;
const options = { only: many, subject: many, rounds: one, record: no, json: no, profile: one, help: no };

const say = (line: string): void => void process.stderr.write(`${line}\n`);

function refuse(reason: string): never {
  say(`bench: ${reason}\n\n${usage}`);
  process.exit(2);
}

function readOptions() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

type Wanted = ReturnType<typeof readOptions>;

function chosen({ only = [], subject = [], rounds }: Wanted): Scenario[] {
  const unknown = only.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown !== undefined) refuse(`there is no benchmark ${unknown}`);
  const nobody = subject.find((name) => !subjectNames.some((known) => known === name));
  if (nobody !== undefined) refuse(`there is no subject ${nobody}`);
  if (rounds !== undefined && !/^[1-9]\d?$/.test(rounds)) refuse(`--rounds ${rounds} is not from 1 to 99`);
  return scenarios.filter(({ name, onRequest }) => (only.length === 0 ? !onRequest : only.includes(name)));
}

async function measureAll(wanted: Wanted, { mosquitto }: Surroundings): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const scenario of chosen(wanted)) {
    const subjects = scenario.subjects.filter(
      (name) => (wanted.subject?.includes(name) ?? true) && (name !== "mosquitto" || mosquitto !== null),
    );
    if (subjects.length === 0) continue;
    say(`\n${scenario.name}: ${scenario.text}`);
    const count = wanted.rounds === undefined ? {} : { rounds: Number(wanted.rounds) };
    const rounds = await runRounds(scenario, subjects, { ...count, profileDir: wanted.profile, say });
    for (const row of scenario.rows) measured.push({ row, spread: spreadOfRow(row, rounds) });
  }
  return measured;
}

/** What is measured is what is released; the compiler that runs sources takes memory and time of its own. */
function build(): void {
  const { status, stdout } = spawnSync(process.execPath, [builder], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the build failed: ${stdout}`);
}

async function main(): Promise<void> {
  const wanted = readOptions();
  if (wanted.help) return void process.stdout.write(usage);
  chosen(wanted);
  build();
  const here = await surroundings();
  say(describe(here));
  if (here.mosquitto === null)
    say("\n*** SKIPPED: every ratio; mosquitto is missing, install it with: apt-get install mosquitto\n");
  const measured = await measureAll(wanted, here);
  const rows: Record<string, Spread> = {};
  for (const { row, spread } of measured) if (spread !== undefined) rows[row.name] = spread;
  const text = wanted.json
    ? JSON.stringify({ surroundings: here, rows })
    : `\n${describe(here)}\n\n${table(measured, await readRecorded())}`;
  process.stdout.write(`${text}\n`);
  if (wanted.record) await writeRecorded({ surroundings: here, rows });
}

let ending: Promise<never> | undefined;

/** What fails because everything is being ended says nothing, and does not end it any sooner. */
function end(code: number, reason?: string): void {
  if (ending !== undefined) return;
  if (reason !== undefined) say(`bench: ${reason}`);
  ending = Cleanup.runAll().then(() => process.exit(code));
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => end(130));
main().then(
  () => end(0),
  (error: unknown) => end(1, error instanceof Error ? error.message : String(error)),
);
