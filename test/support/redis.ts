/** Debian's redis-server for tests: a process of its own on a free port, with an append-only file that is always synced. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { temporaryDirectory } from "./broker.ts";
import { type Program, startCommand } from "./program.ts";

type Teardown = { teardown(callback: () => unknown): unknown };

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
}

/** Starts it and waits until it takes connections. */
export async function startRedis(t: Teardown, options: RedisOptions = {}): Promise<TestRedis> {
  const port = options.port ?? (await freePort());
  const directory = options.directory ?? (await temporaryDirectory(t));
  const settings = {
    ...{ port, bind: "127.0.0.1", dir: directory, save: "" },
    ...{ appendonly: "yes", appendfsync: "always", daemonize: "no" },
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const program = startCommand(t, "redis-server", [...args, ...(options.args ?? [])]);
  await program.line(({ text }) => String(text).includes("Ready to accept connections"));
  return { url: `redis://127.0.0.1:${port}`, port, directory, program };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
