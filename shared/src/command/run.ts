/** Runs the command that a program's arguments begin with. */
import { exitCodeOf, report } from "../service.ts";
import type { Command, Environment } from "./command.ts";

/** The commands of a program by name; each is loaded only when it is asked for. */
export type Commands = Readonly<Record<string, CommandEntry>>;

export interface CommandEntry {
  /** What it does, for the program's `--help`. */
  readonly summary: string;
  load(): Promise<Command>;
}

/** @returns false when the arguments name no command */
export async function runCommand(
  program: string,
  commands: Commands,
  [name = "", ...args]: readonly string[],
  env: Environment,
): Promise<boolean> {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) return false;
  try {
    const command = await entry.load();
    if (args.includes("--help") || args.includes("-h")) process.stdout.write(command.help);
    else await command.run(args, env);
  } catch (error) {
    report(`${program} ${name}`, error);
    process.exitCode = exitCodeOf(error);
  }
  return true;
}
