/** The files of databases that were set aside: which there are, and how many of them stay. */
import { readdirSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { reasonOf, systemCode } from "@equipoise/shared/errors";
import { databaseName } from "./protocol.ts";

export interface SetAsideBounds {
  maxFiles: number;
  /** Of all but the newest, which may be as large as the buffer itself. */
  maxOlderBytes: number;
}

export interface SetAsideState {
  files: number;
  bytes: number;
  /** Those that have just gone. */
  removed: { path: string; bytes: number }[];
  /** Why one that should have gone is still there. */
  fault: string | undefined;
}

interface Aside {
  path: string;
  parts: string[];
  bytes: number;
}

const prefix = `${databaseName}.damaged-`;
const ownSuffix = /-(wal|shm|journal)$/;

/** Paths of the databases, the newest first: their names end with the time. */
export const setAsidePaths = (directory: string): string[] => asides(directory).map(({ path }) => path);

/** The oldest go until the rest is within its bounds; one that the system does not let go stays and is reported. */
export function trimSetAside(directory: string, bounds: SetAsideBounds): SetAsideState {
  const state: SetAsideState = { files: 0, bytes: 0, removed: [], fault: undefined };
  let olderBytes = 0;
  for (const [index, { path, parts, bytes }] of asides(directory).entries()) {
    if (index > 0) olderBytes += bytes;
    const goes = index >= bounds.maxFiles || olderBytes > bounds.maxOlderBytes;
    const fault = goes ? unlinkFault(parts) : undefined;
    state.fault ??= fault;
    if (goes && fault === undefined) state.removed.push({ path, bytes });
    else [state.files, state.bytes] = [state.files + 1, state.bytes + bytes];
  }
  return state;
}

function asides(directory: string): Aside[] {
  const parts = readdirSync(directory).filter((name) => name.startsWith(prefix));
  const byName = Map.groupBy(parts, (name) => name.replace(ownSuffix, ""));
  const names = [...byName.keys()].sort().reverse();
  return names.map((name) => {
    const paths = (byName.get(name) ?? []).map((part) => join(directory, part));
    const bytes = paths.reduce(
      (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
    return { path: join(directory, name), parts: paths, bytes };
  });
}

function unlinkFault(paths: readonly string[]): string | undefined {
  try {
    for (const path of paths) unlinkSync(path);
    return undefined;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return reasonOf(error);
  }
}
