/** A program that is not ours, such as redis-server: ends with this process, however that ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** Waits for the end of its input, which is the end of who started it, beside the program. */
const leash =
  '"$@" 2>&1 & child=$!; echo "leashed $child"; (cat >/dev/null; kill $child 2>/dev/null) <&3 & wait $child';
const maxKeptLines = 20;

export class Leashed {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #words: string[] = [];
  readonly #waiting = new Set<{ text: string; resolve: () => void }>();
  readonly ended: Promise<void>;
  #pid: number | undefined;

  constructor(name: string, command: readonly string[]) {
    this.name = name;
    this.#process = spawn("sh", ["-c", `exec 3<&0; ${leash}`, "sh", ...command], {
      // The shell's own word for a program that was killed is of no interest.
      stdio: ["pipe", "pipe", "ignore"],
      // Ctrl-C reaches only who started it, which stops everything in order.
      detached: true,
    });
    this.ended = once(this.#process, "exit").then(() => {});
    createInterface({ input: this.#process.stdout as Readable }).on("line", (line) => this.#take(line));
  }

  #take(line: string): void {
    const pid = /^leashed (\d+)$/.exec(line)?.[1];
    if (pid !== undefined) this.#pid = Number(pid);
    this.#words.push(line);
    if (this.#words.length > maxKeptLines) this.#words.shift();
    for (const waiter of this.#waiting) {
      if (!line.includes(waiter.text)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }

  /** Resolves with the first line from now on that has the text. @throws Error when the program ends before */
  async says(text: string): Promise<void> {
    const said = new Promise<void>((resolve) => this.#waiting.add({ text, resolve }));
    const ended = this.ended.then(() => {
      throw new Error(`${this.name} ended: ${this.#words.join("\n")}`);
    });
    await Promise.race([said, ended]);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    if (this.#pid !== undefined) process.kill(this.#pid, "SIGKILL");
    await this.ended;
  }

  /** Asks it to stop and waits for its end. */
  async stop(): Promise<void> {
    this.#process.stdin?.end();
    await this.ended;
  }
}
