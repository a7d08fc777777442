/** A buffer of its own for a test, and what comes out of it. */
import { systemClock } from "@equipoise/shared";
import type { Test } from "tap";
import type { BufferOptions } from "../../agent/src/buffer/options.ts";
import type { BufferedTick } from "../../agent/src/buffer/queue.ts";
import { SqliteBuffer } from "../../agent/src/buffer/sqlite-buffer.ts";
import { recordedLog, tradeOf, until } from "./support.ts";

export async function openBuffer(t: Test, directory: string, options: Partial<BufferOptions> = {}) {
  const { logger, lines } = recordedLog();
  const buffer = new SqliteBuffer({
    agentId: "pi-7",
    directory,
    maxBytes: 2 ** 30,
    maxAgeMs: 2 ** 40,
    minFreeDiskBytes: 0,
    whenFull: "block",
    commitLatencyMs: 1,
    keepAcknowledgedMs: 0,
    keepAcknowledgedBytes: 2 ** 20,
    drain: "oldestFirst",
    clock: systemClock,
    random: Math.random,
    logger,
    ...options,
  });
  await buffer.start();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= buffer.stop();
    return stopped;
  };
  t.teardown(stop);
  return { buffer, lines, stop };
}

/** Everything that can be taken, in order. */
export async function takeAll(buffer: SqliteBuffer): Promise<BufferedTick[]> {
  await buffer.flush();
  const ticks: BufferedTick[] = [];
  await until(() => {
    for (let tick = buffer.take(); tick !== undefined; tick = buffer.take()) ticks.push(tick);
    return buffer.isEmpty();
  });
  return ticks;
}

/** Takes and acknowledges everything. */
export async function deliverAll(buffer: SqliteBuffer): Promise<string[]> {
  const ticks = await takeAll(buffer);
  const last = ticks.at(-1);
  if (last !== undefined) buffer.settle(last.position);
  return ticks.map(({ payload }) => payload);
}

export const seqs = (ticks: readonly BufferedTick[]): number[] =>
  ticks.map(({ payload }) => tradeOf(payload).seq);
