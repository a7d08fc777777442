/** Real processes for tests: starts a program, reads its JSON lines, ends it with the test. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Teardown } from "./teardown.ts";
import { pause } from "./time.ts";

export interface Line {
  event?: string;
  [field: string]: unknown;
}

/** One of a program that was killed may have been cut off: then it is no JSON. */
function lineOf(text: string): Line {
  if (!text.startsWith("{")) return { text };
  try {
    return JSON.parse(text) as Line;
  } catch {
    return { text };
  }
}

const root = new URL("../../", import.meta.url);
const launchers = {
  broker: new URL("broker/bin/equipoise-broker.mjs", root),
  agent: new URL("agent/bin/equipoise-agent.mjs", root),
  consume: new URL("shared/bin/equipoise-consume.mjs", root),
} as const;

export class Program {
  readonly child: ChildProcessWithoutNullStreams;
  /** Every JSON line of standard output so far. */
  readonly lines: Line[] = [];
  stderr = "";
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #waiting = new Set<{ accept: (line: Line) => boolean; resolve: (line: Line) => void }>();

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    // tap's NODE_OPTIONS would load its coverage into the child.
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    this.child = spawn(command, args, { env: { ...inherited, ...env } });
    this.exited = once(this.child, "close").then(([code, signal]) => ({ code, signal }));
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    createInterface({ input: this.child.stdout }).on("line", (text) => this.#take(text));
  }

  #take(text: string): void {
    const line = lineOf(text);
    this.lines.push(line);
    for (const waiter of this.#waiting) {
      if (!waiter.accept(line)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(line);
    }
  }

  /** The first line, past or to come, that is accepted; fails when the program ends without one. */
  async line(accept: (line: Line) => boolean): Promise<Line> {
    const past = this.lines.find(accept);
    if (past !== undefined) return past;
    const seen = new Promise<Line>((resolve) => this.#waiting.add({ accept, resolve }));
    const ended = this.exited.then(({ code }) => {
      throw new Error(`the program ended with ${code} before the line came: ${this.stderr}`);
    });
    return await Promise.race([seen, ended]);
  }

  event(name: string): Promise<Line> {
    return this.line((line) => line.event === name);
  }

  /** Lets it stand still, as a machine does that has no time for it. */
  async freeze(ms: number): Promise<void> {
    this.child.kill("SIGSTOP");
    await pause(ms);
    this.child.kill("SIGCONT");
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal);
    return (await this.exited).code;
  }
}

/** Starts one of Equipoise's programs from its launcher, as `npx equipoise-…` does; killed when the test ends. */
export function startProgram(
  t: Teardown,
  name: keyof typeof launchers,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Program {
  return startCommand(t, process.execPath, [fileURLToPath(launchers[name]), ...args], env);
}

/** The same behind another command, such as one that changes its surroundings. */
export function startProgramBehind(
  t: Teardown,
  [command, ...before]: readonly [string, ...string[]],
  name: keyof typeof launchers,
  args: readonly string[],
): Program {
  return startCommand(t, command, [...before, process.execPath, fileURLToPath(launchers[name]), ...args]);
}

/** Starts any other program; killed when the test ends. */
export function startCommand(
  t: Teardown,
  command: string,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Program {
  const program = new Program(command, args, env);
  t.teardown(() => program.stop("SIGKILL"));
  return program;
}
