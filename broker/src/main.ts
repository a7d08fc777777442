import { configFrom, createLogger, report, runCommand, runService, warn } from "@equipoise/shared";
import { commands } from "./commands/index.ts";

/** The `equipoise-broker` command. */
export async function main(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (await runCommand("equipoise-broker", commands, args, env)) return;
  // Loaded only now: a command needs nothing of it.
  const [{ Broker }, { program }] = await Promise.all([import("./broker.ts"), import("./config.ts")]);
  await runService(program.name, async () => {
    const { config, warnings } = configFrom(program, args, env);
    warn(program.name, warnings);
    const logger = createLogger({ name: program.name, level: config.logLevel });
    const broker = new Broker(config, { logger });
    process.on("SIGHUP", () => {
      broker.reload().catch((error: unknown) => report(program.name, error));
    });
    return { service: broker, shutdownTimeoutMs: config.shutdownTimeoutMs };
  });
}
