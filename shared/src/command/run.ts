/** Runs the command that a program's arguments begin with. */
import { exitCodeOf, report } from "../service.ts";
import type { Command, Environment } from "./command.ts";
import { foldedHelp } from "./fold.ts";
import { isEnough, outputError } from "./output.ts";

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
  let failed = false;
  const fail = (error: unknown): void => {
    // A write that fails is told to whoever wrote and to whoever listens.
    if (failed) return;
    failed = true;
    report(`${program} ${name}`, error);
    process.exitCode = exitCodeOf(error);
  };
  process.stdout.on("error", (error) => {
    if (!isEnough(error)) fail(outputError(error));
  });
  try {
    const command = await entry.load();
    if (args.includes("--help") || args.includes("-h")) process.stdout.write(foldedHelp(command.help));
    else await command.run(args, env);
  } catch (error) {
    fail(error);
  }
  return true;
}
