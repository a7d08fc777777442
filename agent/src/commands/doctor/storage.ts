/** Where the buffer is: space, kind of disk, what SQLite promises there, and how fast it is. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { ensureDirectory, reasonOf } from "@equipoise/shared";
import { size } from "../words.ts";
import { type Finding, fail, ok, warn } from "./check.ts";

export interface StorageOptions {
  directory: string;
  maxBytes: number;
  minFreeDiskBytes: number;
}

const synchronousFull = 2;
const writes = 40;
const writeBytes = 4_096;
/** A commit that takes longer holds up every stream. */
const slowMs = 100;

export async function storage(options: StorageOptions): Promise<Finding[]> {
  const { directory } = options;
  const missing = missingOf(directory);
  try {
    ensureDirectory(directory);
    return [place(directory, missing), space(options), await sqlite(directory), writeSpeed(directory)];
  } catch (error) {
    const detail = `${directory}: ${reasonOf(error)}; make it, or choose another with --data-dir`;
    return [fail("data dir", detail)];
  } finally {
    remove(missing);
  }
}

/** The directory and those above it that are not there, the innermost first. */
function missingOf(directory: string): string[] {
  if (existsSync(directory)) return [];
  return [directory, ...missingOf(dirname(directory))];
}

/** Only the agent makes its directory: whoever looks in the wrong place leaves nothing there. */
function remove(made: readonly string[]): void {
  for (const path of made) {
    try {
      rmdirSync(path);
    } catch {
      return; // it was not made, or somebody has put something into it meanwhile
    }
  }
}

function place(directory: string, missing: readonly string[]): Finding {
  if (missing.length === 0) return ok("data dir", directory);
  const detail = `${directory} is not there: the agent makes it at its first start`;
  return warn("data dir", `${detail}; where one has run already, name its directory with --data-dir`);
}

function space({ directory, maxBytes, minFreeDiskBytes }: StorageOptions): Finding {
  const { bavail, bsize } = statfsSync(directory);
  const free = bavail * bsize;
  const detail = `${size(free)} free on ${diskKind(directory)}`;
  if (free < minFreeDiskBytes) {
    return fail("disk", `${detail}: less than buffer.minFreeDiskBytes, so only a few ticks may wait`);
  }
  const bound = `the buffer may take ${size(maxBytes)}`;
  return free < maxBytes
    ? warn("disk", `${detail}; ${bound}, so the disk is its bound`)
    : ok("disk", `${detail}; ${bound}`);
}

/** For people: file system, device, and what it is. */
function diskKind(directory: string): string {
  try {
    const { dev } = statSync(directory);
    const number = `${(dev >> 8) & 0xfff}:${dev & 0xff}`;
    const line = readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .find((text) => text.split(" ")[2] === number);
    const system = line?.split(" - ")[1]?.split(" ")[0] ?? "an unknown file system";
    return `${system}${deviceKind(number)}`;
  } catch {
    return "a file system that the system does not describe";
  }
}

function deviceKind(number: string): string {
  try {
    const path = readlinkSync(`/sys/dev/block/${number}`);
    const name = basename(path);
    if (name.startsWith("mmcblk")) return `, SD card or eMMC (${name})`;
    const folders = [path, dirname(path)].map((part) => join("/sys/dev/block", part, "queue/rotational"));
    const rotational = folders.flatMap((file) => readIfThere(file) ?? [])[0];
    if (rotational === undefined) return ` (${name})`;
    return rotational.trim() === "1" ? `, rotating disk (${name})` : `, solid state (${name})`;
  } catch {
    return ""; // not a block device of its own, as in a container
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // a partition has it in the folder above
  }
}

/** On a database of its own beside the buffer, which a running agent has locked. */
async function sqlite(directory: string): Promise<Finding> {
  const path = join(directory, `doctor-${process.pid}.sqlite`);
  try {
    const { default: Sqlite } = await import("better-sqlite3");
    const db = new Sqlite(path);
    try {
      db.pragma("journal_mode = WAL");
      db.exec("CREATE TABLE proof (n INTEGER)");
      db.pragma("synchronous = FULL");
      db.exec("INSERT INTO proof VALUES (1)");
      const level = db.pragma("synchronous", { simple: true });
      const version = db.prepare("SELECT sqlite_version()").pluck().get();
      if (level === synchronousFull) return ok("sqlite", `${version}, WAL, synchronous=FULL holds`);
      return fail(
        "sqlite",
        `${version}: synchronous is ${level} after a write, so a power cut loses commits`,
      );
    } finally {
      db.close();
    }
  } catch (error) {
    return fail("sqlite", reasonOf(error));
  } finally {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
  }
}

function writeSpeed(directory: string): Finding {
  const path = join(directory, `doctor-${process.pid}.tmp`);
  try {
    const timesMs = timedWrites(path).sort((a, b) => a - b);
    const [median = 0, worst = 0] = [timesMs[writes / 2], timesMs.at(-1)];
    const detail = `4 KiB with fsync: median ${median.toFixed(1)} ms, worst of ${writes} ${worst.toFixed(1)} ms`;
    return median > slowMs
      ? warn("write speed", `${detail}; the disk is slow or busy`)
      : ok("write speed", detail);
  } catch (error) {
    return fail("write speed", reasonOf(error));
  } finally {
    rmSync(path, { force: true });
  }
}

function timedWrites(path: string): number[] {
  const file = openSync(path, "w");
  try {
    return Array.from({ length: writes }, () => {
      const startedMs = performance.now();
      writeSync(file, Buffer.alloc(writeBytes));
      fsyncSync(file);
      return performance.now() - startedMs;
    });
  } finally {
    closeSync(file);
  }
}
