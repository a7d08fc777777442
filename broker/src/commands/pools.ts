import { createLogUpdate } from "log-update";
import type { PoolStatus, PoolsStatus } from "../control/pool-operations.ts";
import { type Command, readArgs, usage } from "./command.ts";
import { ControlClient, controlHelp, controlOptions } from "./control-client.ts";

const help = `equipoise-broker pools: shows the pools of the running broker, or deletes one

Usage: equipoise-broker pools [--watch] [OPTION …]
       equipoise-broker pools delete NAME [OPTION …]

  --watch          show again every second until Ctrl-C
${controlHelp}

A pool with members is not deleted. A declared pool stays, without its backlog and its dead letters.
`;

const options = { ...controlOptions, watch: { type: "boolean", default: false } } as const;
const watchPeriodMs = 1_000;

export const pools: Command = {
  help,
  async run(args, env) {
    const { values, positionals } = readArgs(args, options);
    const client = new ControlClient(values, env);
    const [action, name, ...more] = positionals;
    if (action === "delete" && name !== undefined && more.length === 0) {
      await client.ask("DELETE", `/pools/${encodeURIComponent(name)}`);
      return;
    }
    if (action !== undefined)
      throw usage(`pools ${positionals.join(" ")}: it is pools, or pools delete NAME`);
    const show = async (): Promise<string> => {
      const status = await client.ask<PoolsStatus>("GET", "/pools");
      return values.json ? JSON.stringify(status) : table(status);
    };
    if (values.watch) await watch(show, values.json);
    else process.stdout.write(`${await show()}\n`);
  },
};

/** Until the process is interrupted. */
async function watch(show: () => Promise<string>, lines: boolean): Promise<never> {
  const update = createLogUpdate(process.stdout);
  for (;;) {
    const text = await show();
    if (lines || !process.stdout.isTTY) process.stdout.write(`${text}\n`);
    else update(text);
    await new Promise((resolve) => setTimeout(resolve, watchPeriodMs));
  }
}

function table({ broker, pools: all }: PoolsStatus): string {
  if (all.length === 0) return `${broker}: no pools`;
  return all.map(describe).join("\n\n");
}

function describe(pool: PoolStatus): string {
  const { name, declared, strategy, ordering, filters, backlog, backlogBytes, maxBacklogBytes } = pool;
  const order = ordering === "none" ? "" : ", ordered by key";
  const share = maxBacklogBytes === 0 ? 0 : Math.round((backlogBytes / maxBacklogBytes) * 100);
  const head = `${name}  ${declared ? "declared" : "undeclared"}, ${strategy}${order}, ${filters.join(" ")}`;
  const state = `  backlog ${count(backlog)} (${share} % of ${size(maxBacklogBytes)}, then ${pool.whenFull})  in flight ${count(pool.inFlight)}  free credit ${count(pool.freeCredit)}`;
  const past = `  settled ${count(pool.settled)}  redelivered ${count(pool.redelivered)}  dropped ${count(pool.dropped)}  dead letters ${count(pool.deadLetters)}`;
  const width = Math.max(8, ...pool.memberReports.map(({ clientId }) => clientId.length));
  const columns = `  ${"member".padEnd(width)}  held/credit     settled    latency  health`;
  const rows = pool.memberReports.map(({ clientId, inFlight, credit, settled, ackLatencyMs, health }) => {
    const latency = ackLatencyMs === null ? "-" : `${ackLatencyMs.toFixed(1)} ms`;
    return `  ${clientId.padEnd(width)}  ${`${inFlight}/${credit}`.padStart(11)}  ${count(settled).padStart(10)}  ${latency.padStart(9)}  ${health}`;
  });
  return [head, state, past, ...(rows.length === 0 ? ["  no members"] : [columns, ...rows])].join("\n");
}

const count = (value: number): string => value.toLocaleString("en-US");

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Math.round((bytes / 2 ** (10 * step)) * 10) / 10} ${units[step]}`;
}
