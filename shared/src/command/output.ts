/** What a command prints, where that cannot be written. */
import { createWriteStream, fstatSync } from "node:fs";
import type { Writable } from "node:stream";
import { EquipoiseError, reasonOf, systemCode } from "../errors.ts";

const standardOutput = 1;

/** The reader has seen enough (`| head`), which is a normal end. */
export function isEnough(error: unknown): boolean {
  return systemCode(error) === "EPIPE";
}

export function outputError(error: unknown): EquipoiseError {
  return new EquipoiseError("EQ_FILE_UNWRITABLE", `standard output: ${reasonOf(error)}`, { cause: error });
}

/** Standard output for much. `process.stdout` would lose the rest of what a nearly full disk has taken only in part. */
export function bulkOutput(): Writable {
  if (!fstatSync(standardOutput).isFile()) return process.stdout;
  return createWriteStream("", { fd: standardOutput, autoClose: false });
}
