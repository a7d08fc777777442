/** A broker for tests, as its own process on a free port. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { type Program, startProgram } from "./program.ts";
import type { Teardown } from "./teardown.ts";

export interface TestBroker {
  program: Program;
  url: string;
  port: number;
  dataDir: string;
}

/** An empty directory that goes with the test. */
export async function temporaryDirectory(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "equipoise-test-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface BrokerOptions {
  port?: number;
  dataDir?: string;
  args?: readonly string[];
}

/** The flags that declare the pool `p`, of all ticks. */
export const declared = (options: object = {}): string[] => [
  "--pools",
  JSON.stringify([{ name: "p", filters: ["ticks/#"], ...options }]),
];

/** Starts a broker on the embedded durable default unless `args` say otherwise, and waits until it listens. */
export async function startBroker(t: Teardown, options: BrokerOptions = {}): Promise<TestBroker> {
  const { args = [] } = options;
  // Where it is started again, nobody else has come meanwhile.
  const port = options.port ?? (await freePort());
  const dataDir = options.dataDir ?? (await temporaryDirectory(t));
  const program = startProgram(t, "broker", [
    "--listen",
    `mqtt://127.0.0.1:${port}`,
    "--data-dir",
    dataDir,
    ...args,
  ]);
  const ready = await program.event("ready");
  const [url = ""] = ready.listen as string[];
  return { program, url, port: Number(new URL(url).port), dataDir };
}
