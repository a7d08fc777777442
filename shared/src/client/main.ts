import { configFrom, runService, warn } from "../service.ts";
import { Consume } from "./command/consume.ts";
import { program } from "./command/settings.ts";

/** Runs `equipoise-consume`; the process ends with it. */
export async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  await runService(program.name, async () => {
    const { config, warnings } = configFrom(program, args, env);
    warn(program.name, warnings);
    return { service: new Consume(config), shutdownTimeoutMs: config.shutdownTimeoutMs };
  });
}
