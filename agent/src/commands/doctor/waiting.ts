/** What an earlier run has left in the data directory: whether this agent, as configured, can go on from there. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { EquipoiseError, reasonOf, systemCode } from "@equipoise/shared";
import { SymbolChangesFile } from "../../source/symbol-changes.ts";
import { applied } from "../../source/venue-specs.ts";
import { type Finding, fail, ok, warn } from "./check.ts";

export interface WaitingOptions {
  directory: string;
  agentId: string;
  source: readonly string[];
}

export async function waiting({ directory, agentId, source }: WaitingOptions): Promise<Finding[]> {
  return [await buffer(join(directory, "buffer.db"), agentId), symbols(directory, source)].flat();
}

async function buffer(path: string, agentId: string): Promise<Finding> {
  if (!existsSync(path)) return ok("buffer", "none yet");
  try {
    const { leftover } = await import("../../buffer/leftover.ts");
    const { agent, ticks, checked } = leftover(path);
    const extent = checked ? "" : "; it is too large to be looked through for damage";
    if (agent === agentId || ticks === 0) return ok("buffer", `${ticks} ticks wait in it${extent}`);
    const error = new EquipoiseError("EQ_AGENT_ID_CHANGED", `${path} holds ${ticks} ticks of ${agent}`);
    return fail("buffer", error.line);
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(error: unknown): Finding {
  if (error instanceof EquipoiseError) return fail("buffer", error.line);
  const code = systemCode(error) ?? "";
  if (code.startsWith("SQLITE_BUSY")) return ok("buffer", "in use by the running agent");
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") {
    return warn("buffer", `${reasonOf(error)}: the agent will set it aside and begin a new one`);
  }
  return fail("buffer", reasonOf(error));
}

/** Nothing where no symbols were changed at run time. */
function symbols(directory: string, source: readonly string[]): Finding[] {
  try {
    const changes = new SymbolChangesFile(directory).read();
    if (Object.keys(changes).length === 0) return [];
    return [ok("symbols", `changed at run time: ${applied(source, changes).join(" ")}`)];
  } catch (error) {
    if (!(error instanceof EquipoiseError)) throw error;
    return [fail("symbols", error.line)];
  }
}
