/**
 * What was changed about live sources at run time: kept as `symbols.json` in the data directory and applied over the
 * configuration at every start.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EquipoiseError, limits, reasonOf, systemCode } from "@equipoise/shared";
import * as z from "zod";

/** What one venue's symbols are beyond, and without, the configured ones. */
export interface SymbolChanges {
  add: string[];
  remove: string[];
}

const symbols = z.array(z.string().min(1).max(limits.maxIdLength)).max(1_000);
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
      if (systemCode(error) === "ENOENT") return {};
      const reason = error instanceof z.ZodError ? z.prettifyError(error) : reasonOf(error);
      throw new EquipoiseError("EQ_CONFIG_UNREADABLE", `${this.#path}: ${reason}`, { cause: error });
    }
  }

  /** Replaces the file as a whole, so that a power cut leaves the old one or the new one. @throws EQ_DATA_DIR_UNUSABLE */
  write(changes: Record<string, SymbolChanges>): void {
    const fresh = `${this.#path}.new`;
    try {
      const file = openSync(fresh, "w", 0o640);
      try {
        writeSync(file, `${JSON.stringify(changes, null, 2)}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(fresh, this.#path);
    } catch (error) {
      throw new EquipoiseError("EQ_DATA_DIR_UNUSABLE", `${fresh}: ${reasonOf(error)}`, { cause: error });
    }
  }
}

/** The changes of one venue after one more; what is added and then removed again leaves no trace that matters. */
export function merged(before: SymbolChanges | undefined, { add, remove }: SymbolChanges): SymbolChanges {
  const { add: added, remove: removed } = before ?? { add: [], remove: [] };
  return {
    add: [...new Set([...added, ...add])].filter((symbol) => !remove.includes(symbol)),
    remove: [...new Set([...removed, ...remove])].filter((symbol) => !add.includes(symbol)),
  };
}
