/** One of Equipoise's programs as the demo runs it: its own process, its JSON lines, its end. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

export type Line = Readonly<Record<string, unknown>>;

const root = new URL("../../", import.meta.url);
const leash = new URL("leash.mjs", import.meta.url).href;
const maxKeptLines = 20;

export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #onLine: (line: Line) => void;
  /** The last lines that were no JSON, for the message when it ends unexpectedly. */
  readonly #words: string[] = [];
  readonly #seen = new Map<string, Line>();
  readonly #waiting = new Map<string, (line: Line) => void>();
  readonly ended: Promise<number | null>;

  /** @param onLine gets every JSON line of both outputs */
  constructor(name: string, launcher: string, args: readonly string[], onLine: (line: Line) => void) {
    this.name = name;
    this.#onLine = onLine;
    // A process group of its own: Ctrl-C reaches only the demo, which stops its programs in order.
    this.#process = spawn(
      process.execPath,
      ["--import", leash, fileURLToPath(new URL(launcher, root)), ...args],
      { stdio: ["ignore", "pipe", "pipe", "ipc"], detached: true },
    );
    this.ended = once(this.#process, "close").then(([code]) => code as number | null);
    for (const stream of [this.#process.stdout, this.#process.stderr]) this.#listen(stream as Readable);
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
      this.#onLine(line);
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
    const ended = this.ended.then((code) => {
      throw new Error(`${this.name} ended with exit code ${code}: ${this.#words.join(" ")}`);
    });
    return await Promise.race([coming, ended]);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }

  /** Asks it to stop and waits for its end. */
  async stop(): Promise<number | null> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill("SIGTERM");
    return await this.ended;
  }
}
