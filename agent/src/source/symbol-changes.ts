/**
 * What was changed about live sources at run time: kept as `symbols.json` in the data directory and applied over the
 * configuration at every start.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { EquipoiseError, limits, reasonOf, syncDirectory, systemCode } from "@equipoise/shared";
import * as z from "zod";

/** What one venue's symbols are beyond, and without, the configured ones. */
export interface SymbolChanges {
  add: string[];
  remove: string[];
}

/** Of one venue, each way. */
const maxChanges = 1_000;
const symbols = z.array(z.string().min(1).max(limits.maxIdLength)).max(maxChanges);
const document = z.record(z.string(), z.strictObject({ add: symbols, remove: symbols }));

export class SymbolChangesFile {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, "symbols.json");
  }

  /** @throws EquipoiseError EQ_CONFIG_UNREADABLE */
  read(): Record<string, SymbolChanges> {
    try {
      return document.parse(JSON.parse(readFileSync(this.#path, "utf8")));
    } catch (error) {
      // Where the data directory is none, whoever opens it says so.
      if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return {};
      const reason = error instanceof z.ZodError ? z.prettifyError(error) : reasonOf(error);
      throw new EquipoiseError("EQ_CONFIG_UNREADABLE", `${this.#path}: ${reason}`, { cause: error });
    }
  }

  /**
   * Replaces the file as a whole, so that a power cut leaves the old one or the new one.
   * @throws EquipoiseError EQ_LIMIT_REACHED, EQ_DATA_DIR_UNUSABLE
   */
  write(changes: Record<string, SymbolChanges>): void {
    for (const [venue, { add, remove }] of Object.entries(changes)) {
      if (Math.max(add.length, remove.length) <= maxChanges) continue;
      const detail = `more than ${maxChanges} changes of ${venue}: write its symbols into the configuration`;
      throw new EquipoiseError("EQ_LIMIT_REACHED", detail);
    }
    const fresh = `${this.#path}.new`;
    try {
      writeFileSync(fresh, `${JSON.stringify(changes, null, 2)}\n`, { mode: 0o640, flush: true });
      renameSync(fresh, this.#path);
      syncDirectory(dirname(this.#path));
    } catch (error) {
      throw new EquipoiseError("EQ_DATA_DIR_UNUSABLE", `${fresh}: ${reasonOf(error)}`, { cause: error });
    }
  }
}

/**
 * The changes of one venue after one more, as far as they differ from what is configured: who comes and goes at run time
 * alone leaves no trace.
 */
export function merged(
  before: SymbolChanges | undefined,
  { add, remove }: SymbolChanges,
  configured: ReadonlySet<string>,
): SymbolChanges {
  const { add: added, remove: removed } = before ?? { add: [], remove: [] };
  const isConfigured = (symbol: string): boolean => configured.has(symbol);
  return {
    add: [...new Set([...added, ...add])].filter(
      (symbol) => !remove.includes(symbol) && !isConfigured(symbol),
    ),
    remove: [...new Set([...removed, ...remove])].filter(
      (symbol) => !add.includes(symbol) && isConfigured(symbol),
    ),
  };
}
