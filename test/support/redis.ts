/** Debian's redis-server for tests: a process of its own on a free port, with an append-only file. */
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "./broker.ts";
import { freePort } from "./ports.ts";
import { type Program, startCommand } from "./program.ts";
import type { Teardown } from "./teardown.ts";

export interface TestRedis {
  url: string;
  port: number;
  directory: string;
  program: Program;
}

export interface RedisOptions {
  port?: number;
  /** An earlier one's, to go on with its data. */
  directory?: string;
  args?: readonly string[];
  /** Where it listens, and what goes before its command line to get there. */
  host?: string;
  prefix?: readonly string[];
}

/** Starts it and waits until it takes connections. */
export async function startRedis(t: Teardown, options: RedisOptions = {}): Promise<TestRedis> {
  const port = options.port ?? (await freePort());
  const { host = "127.0.0.1", prefix = [] } = options;
  const directory = options.directory ?? (await temporaryDirectory(t));
  const settings = {
    ...{ port, bind: host, dir: directory, save: "" },
    // It is the primary's that counts: with its default of 5 s a replica would come late.
    "repl-diskless-sync-delay": 0,
    // Here it is killed and not its machine, so what is written is there. To have it on a busy disk may take seconds.
    ...{ appendonly: "yes", appendfsync: "no", daemonize: "no" },
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const [command = "", ...before] = [...prefix, "redis-server"];
  const program = startCommand(t, command, [...before, ...args, ...(options.args ?? [])]);
  await program.line(({ text }) => String(text).includes("Ready to accept connections"));
  return { url: `redis://${host}:${port}`, port, directory, program };
}

/** What it answers to one command. */
export function cli({ port }: Pick<TestRedis, "port">, ...args: string[]): string {
  return spawnSync("redis-cli", ["-p", String(port), ...args], { encoding: "utf8" }).stdout.trim();
}

/** What three Sentinels say of a primary. */
export interface TestSentinels {
  /** The brokers' `redis` setting. */
  url: string;
  ports: readonly number[];
}

/** Three Sentinels that agree by two on a primary on this machine, within little more than a second. */
export async function startSentinels(t: Teardown, primaryPort: number): Promise<TestSentinels> {
  const directory = await temporaryDirectory(t);
  const ports = await Promise.all(
    [0, 1, 2].map((at) => startSentinel(t, join(directory, `${at}`), primaryPort)),
  );
  return { url: `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/primary`, ports };
}

async function startSentinel(t: Teardown, directory: string, primaryPort: number): Promise<number> {
  const port = await freePort();
  const file = join(directory, "sentinel.conf");
  await mkdir(directory);
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${directory}`,
    `sentinel monitor primary 127.0.0.1 ${primaryPort} 2`,
    "sentinel down-after-milliseconds primary 1000",
    "sentinel failover-timeout primary 4000",
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const program = startCommand(t, "redis-server", [file, "--sentinel"]);
  await program.line(({ text }) => String(text).includes("+monitor master"));
  return port;
}

/** A replica of a Redis on this machine, with all its data. */
export async function startReplica(
  t: Teardown,
  primary: TestRedis,
  options: RedisOptions = {},
): Promise<TestRedis> {
  const replicaOf = ["--replicaof", "127.0.0.1", String(primary.port)];
  const replica = await startRedis(t, { ...options, args: replicaOf });
  await replica.program.line(({ text }) => String(text).includes("Finished with success"));
  return replica;
}
