/** What this process has had written to disk, which wears out SD cards; `null` where the system does not tell. */
import { readFileSync } from "node:fs";
import { systemCode } from "@equipoise/shared";

/** Bytes since the start of the process, from Linux' own count; all its files, logs to a file too. */
export function writtenBytes(): number | null {
  try {
    const bytes = /^write_bytes: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1];
    return bytes === undefined ? null : Number(bytes);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return null;
  }
}
