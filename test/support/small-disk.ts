/** A disk so small that a test can fill it: a tmpfs, which only root may mount. */
import { spawnSync } from "node:child_process";
import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemCode } from "@equipoise/shared";
import { temporaryDirectory } from "./broker.ts";
import type { Teardown } from "./teardown.ts";

const pieceBytes = 64 * 1024;

export class SmallDisk {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Somebody else takes all that is left but for so much. */
  fill(leftBytes: number): void {
    const file = openSync(join(this.path, "somebody-else"), "a");
    try {
      for (let bytes = pieceBytes; bytes >= 1; bytes = bytes > 4_096 ? bytes / 2 : 0) writeAll(file, bytes);
      ftruncateSync(file, Math.max(0, fstatSync(file).size - leftBytes));
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(join(this.path, "somebody-else"), { force: true });
  }
}

function writeAll(file: number, bytes: number): void {
  try {
    while (writeSync(file, Buffer.alloc(bytes)) === bytes);
  } catch (error) {
    if (systemCode(error) !== "ENOSPC") throw error;
  }
}

/** Undefined, and a loud line, where it cannot be mounted. Unmounted when the test ends. */
export async function mountSmallDisk(t: Teardown, mebibytes: number): Promise<SmallDisk | undefined> {
  const path = join(await temporaryDirectory(t), "disk");
  mkdirSync(path);
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", path]);
  if (status !== 0) {
    process.stderr.write("\n*** SKIPPED: a small disk cannot be mounted; that needs root\n\n");
    return undefined;
  }
  t.teardown(() => spawnSync("umount", ["-l", path]));
  return new SmallDisk(path);
}
