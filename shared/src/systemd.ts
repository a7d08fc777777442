/**
 * What systemd is told about a service: that it is ready, that it stops, how it is, that it is alive. Nothing without
 * NOTIFY_SOCKET. Node cannot write to a Unix datagram socket, and the packages that can are compiled on installation;
 * `systemd-notify` is wherever systemd is, and one short process every few seconds costs nothing that matters. It needs
 * `NotifyAccess=all`, for it is not the main process.
 * @see https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Clock } from "./clock.ts";
import { reasonOf } from "./errors.ts";

export interface NotifierOptions {
  env: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  /** Why the service makes no progress, or undefined; then systemd is told nothing and restarts it. */
  stalled: () => string | undefined;
  /** Something that an operator must know. */
  warn: (message: string) => void;
  /** The program to tell systemd with. */
  command?: string;
}

const commandTimeoutMs = 5_000;
/** Three chances in the time after which systemd gives up. */
const chances = 3;

export class Notifier {
  readonly #options: NotifierOptions;
  #cancel: (() => void) | undefined;
  #telling: Promise<void> = Promise.resolve();
  #busy = false;
  #failed = false;
  #stalled: string | undefined;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** The service has started. */
  ready(): void {
    if (this.#options.env.NOTIFY_SOCKET === undefined) return;
    this.#tell("READY=1", "STATUS=running");
    const timeoutMs = Number(this.#options.env.WATCHDOG_USEC) / 1_000;
    if (timeoutMs > 0) this.#cancel = this.#options.clock.every(timeoutMs / chances, () => this.#ping());
  }

  /** The service stops; resolves when systemd knows, or cannot be told. */
  async stopping(): Promise<void> {
    this.#cancel?.();
    if (this.#options.env.NOTIFY_SOCKET === undefined) return;
    await this.#telling;
    this.#tell("STOPPING=1", "STATUS=stopping");
    await this.#telling;
  }

  #ping(): void {
    if (this.#busy) return; // the next period says it
    const stalled = this.#options.stalled();
    const changed = stalled !== this.#stalled;
    this.#stalled = stalled;
    if (stalled !== undefined && changed) {
      this.#options.warn(`no progress: ${stalled}; systemd is left to restart the service`);
      this.#tell(`STATUS=no progress: ${stalled}`);
    } else if (stalled === undefined) {
      this.#tell("WATCHDOG=1", ...(changed ? ["STATUS=running"] : []));
    }
  }

  #tell(...assignments: string[]): void {
    this.#busy = true;
    const { env, command = "systemd-notify" } = this.#options;
    const options = { env, timeout: commandTimeoutMs, killSignal: "SIGKILL" } as const;
    this.#telling = promisify(execFile)(command, assignments, options)
      .then(
        () => {
          this.#failed = false;
        },
        (error: unknown) => {
          if (!this.#failed) this.#options.warn(`systemd cannot be told: ${reasonOf(error)}`);
          this.#failed = true;
        },
      )
      .finally(() => {
        this.#busy = false;
      });
  }
}
