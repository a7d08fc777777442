/** The figures that were recorded last: `recorded.json`, in the repository. */
import { readFile, writeFile } from "node:fs/promises";
import type { Spread } from "../support/spread.ts";
import type { Surroundings } from "./surroundings.ts";

export interface Recorded {
  surroundings: Surroundings;
  /** By the name of the row. */
  rows: Record<string, Spread>;
}

const file = new URL("./recorded.json", import.meta.url);

export async function readRecorded(): Promise<Recorded | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Recorded;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes the rows measured now; rows that were not measured stay as they were recorded. */
export async function writeRecorded(now: Recorded): Promise<void> {
  const before = await readRecorded();
  const rows = { ...before?.rows, ...now.rows };
  const text = JSON.stringify({ surroundings: now.surroundings, rows }, roundNumbers, 2);
  await writeFile(file, `${text}\n`);
}

function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}
