import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../../support/broker.ts";
import { startCommand } from "../../support/program.ts";
import { Cleanup } from "./cleanup.ts";
import type { Subject } from "./subject.ts";

export const poolName = "bench";
/** Topics of the declared pool, and what a member of it subscribes to. */
export const pooledTopics = "bench/pool";
export const poolFilter = `${pooledTopics}/#`;
export const memberFilter = `$share/${poolName}/${poolFilter}`;

const launcher = fileURLToPath(new URL("../../../broker/bin/equipoise-broker.mjs", import.meta.url));

/** The pool is declared, so nothing is dropped when members are slower than publishers; all clients have one address. */
const config = ({ strategy, ordering }: EquipoiseOptions): string => `pools:
  - name: ${poolName}
    filters: ["${poolFilter}"]
    maxBacklogBytes: 1GiB${
      strategy === undefined
        ? ""
        : `
    strategy: ${strategy}`
    }${ordering === undefined ? "" : `\n    ordering: ${ordering}`}
limits:
  maxConnectionsPerAddress: 2000
`;

export interface EquipoiseOptions {
  port?: number;
  /** Kept when given. */
  dataDir?: string;
  /** Where the broker writes a CPU profile when it ends. */
  profileDir?: string | undefined;
  /** More of the command line. */
  args?: readonly string[];
  /** Of the declared pool; else the default. */
  strategy?: "round_robin";
  /** Of the declared pool. */
  ordering?: "key";
}

export interface EquipoiseSubject extends Subject {
  /** Ends it as a power failure would: nothing is written any more. */
  kill(): Promise<void>;
}

export async function startEquipoise(
  durability: "memory" | "disk" | "cluster",
  options: EquipoiseOptions = {},
): Promise<EquipoiseSubject> {
  const { port = 0, profileDir } = options;
  const cleanup = new Cleanup();
  const directory = await temporaryDirectory(cleanup);
  const configFile = join(directory, "broker.yaml");
  await writeFile(configFile, config(options));
  const dataDir = options.dataDir ?? directory;
  const profile = profileDir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDir}`];
  const args = ["--config", configFile, "--listen", `mqtt://127.0.0.1:${port}`, "--data-dir", dataDir];
  const command = [...profile, launcher, ...args, "--durability", durability, ...(options.args ?? [])];
  const program = startCommand(cleanup, process.execPath, command);
  const ready = await program.event("ready");
  const [url = ""] = ready.listen as string[];
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    await program.stop(signal);
    await cleanup.run();
  };
  return {
    name: options.strategy ?? durability,
    port: Number(new URL(url).port),
    pid: program.child.pid as number,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}
