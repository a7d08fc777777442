import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Load, Result } from "./load.ts";

const generator = fileURLToPath(new URL("./generator.ts", import.meta.url));
/** A load that has not ended by then never will. */
const timeoutMs = 120_000;

/** Runs a load in a process of its own. @throws Error when the process fails or takes more than two minutes */
export async function runLoad(load: Load): Promise<Result> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = fork(generator, { env, timeout: timeoutMs });
  const exited = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the generator ended with ${code ?? signal} during ${load.kind}`);
  });
  const answered = once(child, "message").then(([result]) => result as Result);
  child.send(load);
  try {
    return await Promise.race([answered, exited]);
  } finally {
    exited.catch(() => {});
    await Promise.allSettled([exited]);
  }
}
