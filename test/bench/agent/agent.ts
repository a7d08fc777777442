/** An agent under measurement, as a process of its own. */
import { fileURLToPath } from "node:url";
import { type Program, startCommand } from "../../support/program.ts";
import type { Teardown } from "../../support/teardown.ts";

const launcher = fileURLToPath(new URL("../../../agent/bin/equipoise-agent.mjs", import.meta.url));

export interface AgentOptions {
  broker: string;
  dataDir: string;
  args: readonly string[];
  profileDir?: string | undefined;
}

export function startBenchAgent(t: Teardown, options: AgentOptions): Program {
  const { broker, dataDir, args, profileDir } = options;
  const profile = profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`];
  const own = [
    "--agent-id",
    "bench",
    "--broker",
    broker,
    "--data-dir",
    dataDir,
    "--progress-period-ms",
    "1000",
  ];
  return startCommand(t, process.execPath, [...profile, launcher, ...own, ...args]);
}

/** A trade of the product's own form, as a line for `stdin:`. */
export function tradeLine(n: number): string {
  return `{"venue":"bench","symbol":"BTCUSDT","tradeId":"${n}","price":"61837.63000000","size":"0.02000000","side":"sell","exchangeTimeUs":${1_723_161_255_342_000 + n},"receivedTimeUs":${1_723_161_255_342_000 + n}}\n`;
}
