import { createLogger, readCommandLine, runService } from "@equipoise/shared";
import { Broker } from "./broker.ts";
import { program } from "./config.ts";

/** The `equipoise-broker` command. */
export async function main(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  await runService(program.name, async () => {
    const commandLine = readCommandLine(program, args, env);
    if ("print" in commandLine) {
      process.stdout.write(commandLine.print);
      process.exit(0);
    }
    const { config } = commandLine;
    const logger = createLogger({ name: program.name, level: config.logLevel });
    return { service: new Broker(config, { logger }), shutdownTimeoutMs: config.shutdownTimeoutMs };
  });
}
