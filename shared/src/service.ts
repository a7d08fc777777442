/** What every program's `main` does around its service: clear errors, signals, exit codes. */
import { systemClock } from "./clock.ts";
import { type CommandLine, type Program, readCommandLine, type Settings } from "./config/index.ts";
import { EquipoiseError } from "./errors.ts";
import { Notifier } from "./systemd.ts";

/** Something that owns resources. `stop` may be called once, also while `start` is under way. */
export interface Service {
  start(): Promise<void>;
  /** Drains, then releases everything. */
  stop(): Promise<void>;
  /** Resolves when the service has ended by itself, with its exit code. Absent for services that run until stopped. */
  readonly ended?: Promise<number>;
  /** Why no progress is made that should be, or undefined; systemd's watchdog restarts such a service. */
  stalled?(): string | undefined;
}

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** The exit code for an error: 2 for what the user typed or configured, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof EquipoiseError)) return exitCodes.failed;
  return error.code.startsWith("EQ_CONFIG") || error.code === "EQ_USAGE" ? exitCodes.usage : exitCodes.failed;
}

/** One line without a stack for an expected error; a bug keeps its stack, because somebody must find it. */
export function report(program: string, error: unknown): void {
  const text =
    error instanceof EquipoiseError ? error.line : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${program}: ${text}\n`);
}

/** Says what the user may not have meant, and goes on. */
export function warn(program: string, warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`${program}: ${warning}\n`);
}

/**
 * What a program's command line configures. Where it asks for text instead, as `--help` does, prints that and ends the
 * process with 0.
 * @throws EquipoiseError as {@link readCommandLine} does
 */
export function configFrom<S extends Settings>(
  program: Program<S>,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Exclude<CommandLine<S>, { print: string }> {
  const commandLine = readCommandLine(program, args, env);
  if ("config" in commandLine) return commandLine;
  process.stdout.write(commandLine.print);
  process.exit(exitCodes.ok);
}

/**
 * Runs a service until it ends or a signal asks it to stop; then the process ends. The second signal ends at once
 * with 130; a stop that takes longer than `shutdownTimeoutMs` ends with 1.
 * @param make builds the service; errors it throws are reported like those of `start`
 */
export async function runService(
  program: string,
  make: () => Promise<{ service: Service; shutdownTimeoutMs: number }>,
) {
  try {
    const { service, shutdownTimeoutMs } = await make();
    const notifier = createNotifier(program, service);
    const signalled = stopOnSignals(program, service, notifier, shutdownTimeoutMs);
    await service.start();
    notifier.ready();
    if (service.ended === undefined) return;
    const code = await service.ended;
    await signalled.stop();
    process.exit(code);
  } catch (error) {
    report(program, error);
    process.exit(exitCodeOf(error));
  }
}

function createNotifier(program: string, service: Service): Notifier {
  return new Notifier({
    env: process.env,
    clock: systemClock,
    stalled: () => service.stalled?.(),
    warn: (message) => process.stderr.write(`${program}: ${message}\n`),
  });
}

function stopOnSignals(program: string, service: Service, notifier: Notifier, shutdownTimeoutMs: number) {
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    if (stopping !== undefined) return stopping;
    const timer = setTimeout(() => {
      process.stderr.write(`${program}: still not stopped after ${shutdownTimeoutMs} ms; ending now\n`);
      process.exit(exitCodes.failed);
    }, shutdownTimeoutMs);
    timer.unref();
    stopping = Promise.all([service.stop(), notifier.stopping()]).then(() => {});
    return stopping;
  };
  const onSignal = (): void => {
    if (stopping !== undefined) process.exit(exitCodes.interrupted);
    stop().then(
      () => process.exit(exitCodes.ok),
      (error: unknown) => {
        report(program, error);
        process.exit(exitCodes.failed);
      },
    );
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return { stop };
}
