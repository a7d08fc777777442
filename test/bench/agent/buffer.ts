/** The agent's buffer alone, with the agent's own defaults. */
import { createLogger } from "@equipoise/shared";
import type { BufferOptions } from "../../../agent/src/buffer/options.ts";
import { SqliteBuffer } from "../../../agent/src/buffer/sqlite-buffer.ts";
import { settings } from "../../../agent/src/config.ts";

/** The values of the `buffer.` settings that nobody has changed. */
export function createBuffer(options: Pick<BufferOptions, "directory" | "clock"> & Partial<BufferOptions>) {
  const { maxBytes, maxAgeMs, minFreeDiskBytes, whenFull, commitLatencyMs } = settings.buffer;
  const { keepAcknowledgedMs, keepAcknowledgedBytes, drain, setAsideFiles, setAsideBytes } = settings.buffer;
  return new SqliteBuffer({
    agentId: "bench",
    maxBytes: maxBytes.default,
    maxAgeMs: maxAgeMs.default,
    minFreeDiskBytes: minFreeDiskBytes.default,
    whenFull: whenFull.default,
    commitLatencyMs: commitLatencyMs.default,
    keepAcknowledgedMs: keepAcknowledgedMs.default,
    keepAcknowledgedBytes: keepAcknowledgedBytes.default,
    setAsideFiles: setAsideFiles.default,
    setAsideBytes: setAsideBytes.default,
    drain: drain.default,
    random: Math.random,
    logger: createLogger({ name: "bench", level: "error", stream: process.stderr }),
    ...options,
  });
}
