/** A buffer of its own for a test, and what comes out of it. */
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@equipoise/shared";
import Database from "better-sqlite3";
import type { Test } from "tap";
import type { Beginning } from "../../agent/src/buffer/beginning.ts";
import type { BufferOptions } from "../../agent/src/buffer/options.ts";
import type { BufferedTick } from "../../agent/src/buffer/queue.ts";
import { SqliteBuffer } from "../../agent/src/buffer/sqlite-buffer.ts";
import { recordedLog, trade, tradeOf, until } from "./support.ts";

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
    setAsideFiles: 8,
    setAsideBytes: 2 ** 30,
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
  t.teardown(() => (stopped === undefined ? stop() : undefined)); // whoever has stopped it knows how that went
  return { buffer, lines, stop };
}

/** What a database begins with when nothing was before. */
export function emptyOf(epoch: string): Beginning {
  return { agent: "pi-7", epoch, earlierEpoch: null, forgottenSeq: 0, done: [0, 0], streams: [], lost: [] };
}

/** Makes a database what it was in an earlier version. */
export function asVersion(version: 2 | 3 | 4, directory: string, more = ""): void {
  const db = new Database(join(directory, "buffer.db"));
  if (version === 4) {
    db.exec("ALTER TABLE meta DROP COLUMN earlier_epoch; ALTER TABLE stream DROP COLUMN mark");
    db.pragma("user_version = 4");
    return void db.close();
  }
  const missing = version === 3 ? "missing TEXT," : "";
  db.exec(`DROP TABLE signpost; DROP TABLE lost; ALTER TABLE meta DROP COLUMN forgotten_seq; ALTER TABLE meta DROP COLUMN earlier_epoch;
    CREATE TABLE lost (stream INTEGER NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
      reason TEXT NOT NULL, ${missing} PRIMARY KEY (stream, from_seq, reason)) STRICT, WITHOUT ROWID;
    ALTER TABLE stream DROP COLUMN mark;
    ${version === 2 ? "ALTER TABLE chunk DROP COLUMN gaps;" : ""} ${more};
    PRAGMA user_version = ${version}`);
  db.close();
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

/** The same, and the gap records that come of it, until there are no more. */
export async function deliverAllTold(buffer: SqliteBuffer): Promise<string[]> {
  const payloads: string[] = [];
  for (;;) {
    const more = await deliverAll(buffer);
    await buffer.flush();
    if (more.length === 0 && buffer.isEmpty()) return payloads;
    payloads.push(...more);
  }
}

/** Numbered trades, each thousand a chunk. */
export async function putChunks(buffer: SqliteBuffer, count: number): Promise<void> {
  for (let n = 1; n <= count; n += 1) {
    buffer.put(trade(n));
    if (n % 1_000 === 0) await buffer.flush();
  }
}

export const seqs = (ticks: readonly BufferedTick[]): number[] =>
  ticks.map(({ payload }) => tradeOf(payload).seq);

/** Overwrites the first pages of tables, so that only these cannot be read any more. */
export function damageTables(directory: string, ...tables: string[]): void {
  const path = join(directory, "buffer.db");
  const db = new Database(path);
  const rootOf = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").pluck();
  const pages = tables.map((table) => rootOf.get(table) as number);
  const size = db.pragma("page_size", { simple: true }) as number;
  db.close();
  const file = openSync(path, "r+");
  for (const page of pages) writeSync(file, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size);
  closeSync(file);
}
