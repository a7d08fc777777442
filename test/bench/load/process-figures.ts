/** What Linux says of a process. */
import { existsSync, readFileSync } from "node:fs";
import type { Teardown } from "../../support/teardown.ts";

/** USER_HZ, the unit of /proc's CPU times; 100 on every Linux of today. */
const ticksPerSecond = 100;

/** CPU time of all threads, user and system, in microseconds. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may contain spaces; utime and stime are the 14th and 15th field of all.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
}

const samplePeriodMs = 100;

/** Begins to watch a process. @returns the most resident memory seen so far, in bytes */
export function residentPeak(t: Teardown, pid: number): () => number {
  let most = residentBytes(pid);
  const sampling = setInterval(() => {
    most = Math.max(most, residentBytes(pid));
  }, samplePeriodMs);
  t.teardown(() => clearInterval(sampling));
  return () => most;
}

/** Resident memory now, in bytes; 0 for a process that is gone. */
export function residentBytes(pid: number): number {
  const file = `/proc/${pid}/status`;
  const status = existsSync(file) ? readFileSync(file, "utf8") : "";
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024;
}
