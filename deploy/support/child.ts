/** One of Equipoise's programs as a demo runs it: its own process, its JSON lines, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

export type Line = Readonly<Record<string, unknown>>;

const root = new URL("../../", import.meta.url);
const leash = new URL("leash.mjs", import.meta.url).href;
const maxKeptLines = 20;

export interface ChildOptions {
  /** Gets every JSON line of both outputs. */
  onLine?: (line: Line) => void;
  /** It has ended, and nobody has asked it to. */
  onFailed: (error: Error) => void;
  /** Its end by itself with exit code 0 is no failure. */
  mayEnd?: boolean;
}

export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #options: ChildOptions;
  /** The last lines that were no JSON, for the message when it ends unexpectedly. */
  readonly #words: string[] = [];
  readonly #seen = new Map<string, Line>();
  readonly #waiting = new Map<string, (line: Line) => void>();
  readonly #ended: Promise<number | null>;
  #asked = false;

  constructor(name: string, launcher: string, args: readonly string[], options: ChildOptions) {
    this.name = name;
    this.#options = options;
    // A process group of its own: Ctrl-C reaches only who started it, which stops everything in order.
    this.#process = spawn(
      process.execPath,
      ["--import", leash, fileURLToPath(new URL(launcher, root)), ...args],
      { stdio: ["ignore", "pipe", "pipe", "ipc"], detached: true },
    );
    this.#ended = once(this.#process, "close").then(([code]) => this.#end(code));
    for (const stream of [this.#process.stdout, this.#process.stderr]) this.#listen(stream as Readable);
  }

  #end(code: number | null): number | null {
    const { mayEnd, onFailed } = this.#options;
    const expected = this.#asked || (mayEnd === true && code === 0);
    if (!expected) onFailed(new Error(`the ${this.name} ended by itself with exit code ${code}`));
    return code;
  }

  #listen(stream: Readable): void {
    createInterface({ input: stream }).on("line", (text) => {
      if (!text.startsWith("{")) {
        this.#words.push(text);
        if (this.#words.length > maxKeptLines) this.#words.shift();
        return;
      }
      const line = JSON.parse(text) as Line;
      if (typeof line.event === "string") this.#note(line.event, line);
      this.#options.onLine?.(line);
    });
  }

  #note(event: string, line: Line): void {
    this.#seen.set(event, line);
    this.#waiting.get(event)?.(line);
    this.#waiting.delete(event);
  }

  /** The first line with this event. Fails when the program ends without it. */
  async event(name: string): Promise<Line> {
    const seen = this.#seen.get(name);
    if (seen !== undefined) return seen;
    const coming = new Promise<Line>((resolve) => this.#waiting.set(name, resolve));
    const ended = this.#ended.then((code) => {
      throw new Error(`the ${this.name} ended with exit code ${code}: ${this.#words.join(" ")}`);
    });
    return await Promise.race([coming, ended]);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#asked = true;
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  /** Asks it to stop and waits for its end. */
  async stop(): Promise<void> {
    this.#asked = true;
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill("SIGTERM");
    await this.#ended;
  }
}
