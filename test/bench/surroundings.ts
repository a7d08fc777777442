/** What the figures were measured on. */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { mosquittoVersion } from "./subject/mosquitto.ts";

export interface Surroundings {
  machine: string;
  date: string;
  node: string;
  mosquitto: string | null;
  /** Median time of an fsync behind 4 KiB appended, in the directory that the brokers' data are in. */
  fsyncMs: number;
  /** Processes that wanted the processors in the minute before. */
  loadBefore: number;
}

export async function surroundings(): Promise<Surroundings> {
  const processors = cpus();
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  return {
    machine: `${processors.length} × ${processors[0]?.model ?? "unknown"}, ${gibibytes} GiB, Linux`,
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    mosquitto: mosquittoVersion() ?? null,
    fsyncMs: await probeFsync(),
    loadBefore: Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]),
  };
}

const probes = 200;

async function probeFsync(): Promise<number> {
  const path = join(tmpdir(), `equipoise-bench-${process.pid}`);
  const file = openSync(path, "w");
  const bytes = Buffer.alloc(4_096);
  const timesMs: number[] = [];
  for (let probe = 0; probe < probes; probe++) {
    writeSync(file, bytes);
    const before = performance.now();
    fsyncSync(file);
    timesMs.push(performance.now() - before);
  }
  closeSync(file);
  await rm(path);
  timesMs.sort((a, b) => a - b);
  return Math.round((timesMs[probes >> 1] as number) * 1_000) / 1_000;
}
