/** Redis: a primary with two replicas, and three Sentinels that make one of them the primary when it ends. */
import { execFile, spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { EquipoiseError } from "@equipoise/shared";
import { Leashed } from "./leashed.ts";
import { freePorts, host } from "./ports.ts";

const primaryName = "equipoise";
const servers = 3;
/** Silence after which a Sentinel takes the primary for dead. */
const downAfterMs = 1_000;
const checkPeriodMs = 100;

interface Server {
  port: number;
  process: Leashed;
}

export class Engine {
  readonly #directory: string;
  readonly #servers = new Map<number, Server>();
  #sentinels: Server[] = [];

  /** @param directory for everything that they keep */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** As the brokers' `redis`. */
  get url(): string {
    return `redis+sentinel://${this.#sentinels.map(({ port }) => `${host}:${port}`).join(",")}/${primaryName}`;
  }

  async start(): Promise<void> {
    const ports = await freePorts(2 * servers);
    const [primary = 0, ...replicas] = ports.slice(0, servers);
    await this.#startServer(primary, undefined);
    await Promise.all(replicas.map((port) => this.#startServer(port, primary)));
    this.#sentinels = await Promise.all(
      ports.slice(servers).map((port) => this.#startSentinel(port, primary)),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#sentinels.map(({ process }) => process.stop()));
    await Promise.all(Array.from(this.#servers.values(), ({ process }) => process.stop()));
  }

  /** The port of the primary, as the first Sentinel has it. */
  async primary(): Promise<number> {
    const port = String(this.#sentinels[0]?.port);
    const question = ["SENTINEL", "get-master-addr-by-name", primaryName];
    const { stdout } = await promisify(execFile)("redis-cli", ["-h", host, "-p", port, ...question]);
    return Number(stdout.split("\n")[1]);
  }

  /**
   * Kills the primary; resolves with the new one's port, when the killed one is back as its replica.
   * @param onChanged is told the port as soon as there is one
   */
  async failOver(onChanged: (port: number) => void): Promise<number> {
    const killed = await this.primary();
    await this.#servers.get(killed)?.process.kill();
    let port = killed;
    while (port === killed) {
      await new Promise((resolve) => setTimeout(resolve, checkPeriodMs));
      port = await this.primary();
    }
    onChanged(port);
    await this.#startServer(killed, port);
    return port;
  }

  async #startServer(port: number, primary: number | undefined): Promise<void> {
    const dir = join(this.#directory, `redis-${port}`);
    await mkdir(dir, { recursive: true });
    const settings = {
      ...{ port, bind: host, dir, save: "", appendonly: "yes", appendfsync: "always" },
      ...{ "maxmemory-policy": "noeviction", "repl-diskless-sync-delay": 0 },
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    if (primary !== undefined) args.push("--replicaof", host, String(primary));
    const process = new Leashed(`Redis at ${port}`, ["redis-server", ...args]);
    this.#servers.set(port, { port, process });
    await process.says(primary === undefined ? "Ready to accept connections" : "Finished with success");
  }

  async #startSentinel(port: number, primary: number): Promise<Server> {
    const dir = join(this.#directory, `sentinel-${port}`);
    await mkdir(dir);
    const file = join(dir, "sentinel.conf");
    const lines = [
      ...[`port ${port}`, `bind ${host}`, `dir ${dir}`],
      `sentinel monitor ${primaryName} ${host} ${primary} 2`,
      `sentinel down-after-milliseconds ${primaryName} ${downAfterMs}`,
      `sentinel failover-timeout ${primaryName} 5000`,
    ];
    await writeFile(file, `${lines.join("\n")}\n`);
    const process = new Leashed(`Sentinel at ${port}`, ["redis-server", file, "--sentinel"]);
    await process.says("+monitor master");
    return { port, process };
  }
}

/** @throws EquipoiseError EQ_PROGRAM_MISSING */
export function requireRedis(): void {
  for (const program of ["redis-server", "redis-cli"]) {
    if (spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0)
      throw new EquipoiseError("EQ_PROGRAM_MISSING", `${program}: apt-get install redis-server`);
  }
}
