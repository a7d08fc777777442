import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Cleanup } from "../subject/cleanup.ts";

/** No measurement takes as long. */
const timeoutMs = 120_000;

/** A process of the benchmark that is asked questions, one at a time. */
export class AskedProcess<Question extends object> {
  readonly #child: ChildProcess;
  readonly #exited: Promise<never>;

  /** Starts a program of this folder; it is killed by `cleanup`, also while it is frozen. */
  constructor(file: "member.ts" | "publisher.ts", args: readonly string[], cleanup: Cleanup) {
    const { NODE_OPTIONS: _, ...env } = process.env;
    this.#child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
      env,
      serialization: "advanced",
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    const exited = once(this.#child, "exit");
    this.#exited = exited.then(([code, signal]) => {
      throw new Error(`${file} ended with ${code ?? signal}`);
    });
    this.#exited.catch(() => {});
    cleanup.teardown(async () => {
      this.#child.kill("SIGKILL");
      await exited;
    });
  }

  /** @throws Error when the process ends instead of answering */
  async ask<Answer>(question: Question): Promise<Answer> {
    const answered = once(this.#child, "message").then(([answer]) => answer as Answer);
    this.#child.send(question);
    return await Promise.race([answered, this.#exited]);
  }

  /** It does nothing any more, and its connections stay open. */
  freeze(): void {
    this.#child.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child.kill("SIGCONT");
  }
}
