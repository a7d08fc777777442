/** An operator's commands, as processes of their own. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../broker/bin/equipoise-broker.mjs", import.meta.url));

export interface Operation {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `equipoise-broker ARGS` against the broker of a data directory, and waits for its end. */
export function operate(dataDir: string, ...args: string[]): Operation {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args, "--data-dir", dataDir], {
    encoding: "utf8",
    env,
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}
