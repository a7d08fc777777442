/** The commands by name; each is loaded only when it is asked for. */
import { exitCodeOf, report } from "@equipoise/shared";
import type { Command, Environment } from "./command.ts";

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  users: async () => (await import("./users.ts")).users,
  pools: async () => (await import("./pools.ts")).pools,
  balancing: async () => (await import("./balancing.ts")).balancing,
  dead: async () => (await import("./dead.ts")).dead,
  certs: async () => (await import("./certs.ts")).certs,
};

/** Runs the command that the arguments begin with. False when they name none. */
export async function runCommand(
  program: string,
  [name = "", ...args]: readonly string[],
  env: Environment,
): Promise<boolean> {
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) return false;
  try {
    const command = await load();
    if (args.includes("--help") || args.includes("-h")) process.stdout.write(command.help);
    else await command.run(args, env);
  } catch (error) {
    report(`${program} ${name}`, error);
    process.exitCode = exitCodeOf(error);
  }
  return true;
}
