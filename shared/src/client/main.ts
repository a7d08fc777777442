import { readCommandLine } from "../config/index.ts";
import { exitCodeOf, report, runService, warn } from "../service.ts";
import { Consume } from "./command/consume.ts";
import { type ConsumeConfig, program } from "./command/settings.ts";

/** Runs `equipoise-consume`; the process ends with it. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const config = configOf(args, env);
  if (config === undefined) return;
  await runService(program.name, async () => ({
    service: new Consume(config),
    shutdownTimeoutMs: config.shutdownTimeoutMs,
  }));
}

function configOf(args: readonly string[], env: NodeJS.ProcessEnv): ConsumeConfig | undefined {
  try {
    const commandLine = readCommandLine(program, args, env);
    if ("config" in commandLine) {
      warn(program.name, commandLine.warnings);
      return commandLine.config;
    }
    process.stdout.write(commandLine.print);
  } catch (error) {
    report(program.name, error);
    process.exitCode = exitCodeOf(error);
  }
  return undefined;
}
