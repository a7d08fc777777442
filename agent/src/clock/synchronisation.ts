/** Whether the system's clock follows a time server, as chrony or systemd say; asked for rarely and never waited for. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Clock, Logger } from "@equipoise/shared";
import { reasonOf } from "@equipoise/shared";

export interface Synchronised {
  /** Null where nobody can tell. */
  synchronised: boolean | null;
  /** Of the system's clock from the server's time, where it is known. */
  offsetMs: number | null;
}

/** Runs a program and returns its output; rejects when it is missing, fails or takes too long. */
export type Run = (command: string, args: readonly string[]) => Promise<string>;

const timeoutMs = 1_000;
const periodMs = 60_000;
const unknown: Synchronised = { synchronised: null, offsetMs: null };

export const runProgram: Run = async (command, args) =>
  (await promisify(execFile)(command, args, { timeout: timeoutMs, killSignal: "SIGKILL" })).stdout;

export class Synchronisation {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #run: Run;
  #known = unknown;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(clock: Clock, logger: Logger, run: Run = runProgram) {
    this.#clock = clock;
    this.#logger = logger;
    this.#run = run;
  }

  /** What was found out last; asks anew now and then, without waiting. */
  get state(): Synchronised {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#asking && nowMs - this.#askedAtMs >= periodMs) {
      this.#askedAtMs = nowMs;
      this.#asking = true;
      void this.#ask().finally(() => {
        this.#asking = false;
      });
    }
    return this.#known;
  }

  /** Asks now. */
  async ask(): Promise<Synchronised> {
    await this.#ask();
    return this.#known;
  }

  async #ask(): Promise<void> {
    this.#known =
      (await this.#try("chronyc", ["-n", "tracking"], parseTracking)) ??
      (await this.#try("timedatectl", ["show"], parseTimedate)) ??
      unknown;
  }

  async #try(
    command: string,
    args: readonly string[],
    parse: (output: string) => Synchronised | undefined,
  ): Promise<Synchronised | undefined> {
    try {
      return parse(await this.#run(command, args));
    } catch (error) {
      const fields = { event: "probeFailed", probe: command, reason: reasonOf(error) };
      this.#logger.debug(fields, "the clock's synchronisation cannot be asked for");
      return undefined;
    }
  }
}

/** @see https://chrony-project.org/doc/4.5/chronyc.html, command tracking */
export function parseTracking(output: string): Synchronised | undefined {
  const status = /^Leap status\s*: (.+)$/m.exec(output)?.[1];
  if (status === undefined) return undefined;
  const [, seconds, direction] = /^System time\s*: ([\d.]+) seconds (slow|fast)/m.exec(output) ?? [];
  const offsetMs = seconds === undefined ? null : Number(seconds) * (direction === "slow" ? -1_000 : 1_000);
  return { synchronised: status !== "Not synchronised", offsetMs };
}

/** @see https://www.freedesktop.org/software/systemd/man/latest/timedatectl.html */
export function parseTimedate(output: string): Synchronised | undefined {
  const answer = /^NTPSynchronized=(yes|no)$/m.exec(output)?.[1];
  return answer === undefined ? undefined : { synchronised: answer === "yes", offsetMs: null };
}
