import {
  configFrom,
  createLogger,
  EquipoiseError,
  report,
  runCommand,
  runService,
  systemClock,
  warn,
} from "@equipoise/shared";
import { commands } from "./commands/index.ts";

/**
 * mqtt-packet keeps a few bytes for each length of packet that it has written; with Node's own 64 KiB each of them may keep
 * so much more alive.
 */
const bufferPoolBytes = 8_192;

/** The agent as a process: command line, environment, signals and exit codes. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  if (await runCommand("equipoise-agent", commands, args, env)) return;
  Buffer.poolSize = bufferPoolBytes;
  // Loaded only now: a command must work, and say why, where SQLite does not.
  const [{ Agent }, { program }] = await Promise.all([import("./agent.ts"), import("./config.ts")]);
  await runService(program.name, async () => {
    const { config, warnings } = configFrom(program, args, env);
    warn(program.name, warnings);
    if (config.source.length === 0) {
      throw new EquipoiseError(
        "EQ_USAGE",
        "no source of ticks: give at least one --source, e.g. --source stdin:",
      );
    }
    const logger = createLogger({ name: program.name, level: config.logLevel });
    const options = { config, logger, clock: systemClock, random: Math.random, stdin: process.stdin };
    const agent = new Agent(options);
    process.on("SIGHUP", () => {
      agent.reload().catch((error: unknown) => report(program.name, error));
    });
    return { service: agent, shutdownTimeoutMs: config.shutdownTimeoutMs };
  });
}
