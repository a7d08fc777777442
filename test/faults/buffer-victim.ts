/**
 * Uses a buffer in every way at once until it is killed; every line is written before anything else happens. `S` a record
 * that left the device, `C` the first and last number of a stream, in this life, that are committed for certain. With
 * `drain` it sends what there is and ends.
 */
import { openSync, writeSync } from "node:fs";
import { createLogger, seqOfEncoded, systemClock } from "@equipoise/shared";
import type { BufferedTick } from "../../agent/src/buffer/queue.ts";
import { SqliteBuffer } from "../../agent/src/buffer/sqlite-buffer.ts";

const [directory = "", run = "0", mode = "feed", log = ""] = process.argv.slice(2);
const file = openSync(log, "a");
const say = (line: string): void => void writeSync(file, `${line}\n`);
const buffer = new SqliteBuffer({
  agentId: "pi-7",
  directory,
  maxBytes: 2 ** 19,
  maxAgeMs: 2 ** 40,
  minFreeDiskBytes: 0,
  whenFull: Number(run) % 2 === 0 ? "dropOldest" : "dropNewest",
  commitLatencyMs: 5,
  keepAcknowledgedMs: 50,
  keepAcknowledgedBytes: 2 ** 20,
  setAsideFiles: 8,
  setAsideBytes: 2 ** 30,
  drain: Number(run) % 3 === 0 ? "newestFirst" : "oldestFirst",
  clock: systemClock,
  random: Math.random,
  logger: createLogger({ name: "victim", level: "error", stream: process.stderr }),
});
let put = 0;
/** By symbol, the numbers of this life's first and newest trade that was not dropped. */
const numbers = new Map<string, { first: number; last: number }>();

function putOne(): void {
  put += 1;
  const price = `1.${Math.random().toFixed(16).slice(2)}`;
  const symbol = `S${Math.floor(Math.random() * 3)}`;
  const timeUs = 1_723_161_255_342_000;
  const trade = { venue: "v", symbol, tradeId: `${run}-${put}`, price, size: "1", side: "buy" } as const;
  buffer.put({ ...trade, exchangeTimeUs: timeUs, receivedTimeUs: timeUs });
  const newest = buffer.latest("v", symbol) ?? "";
  if (!newest.includes(`"${trade.tradeId}"`)) return;
  const last = seqOfEncoded(newest);
  numbers.set(symbol, { first: numbers.get(symbol)?.first ?? last, last });
}

function send(most: number): void {
  let last: BufferedTick | undefined;
  for (let sent = 0; sent < most; sent += 1) {
    const tick = buffer.take();
    if (tick === undefined) break;
    last = tick;
    say(`S ${tick.stream.symbol} ${tick.payload}`);
  }
  if (last !== undefined && (mode === "drain" || Math.random() < 0.7)) buffer.settle(last.position);
}

async function sayCommitted(): Promise<void> {
  const known = [...numbers];
  await buffer.flush();
  for (const [symbol, { first, last }] of known) say(`C ${symbol} ${first} ${last};`);
}

async function feed(): Promise<never> {
  for (;;) {
    for (let n = Math.random() * 300; n > 0; n -= 1) putOne();
    send(Math.random() * 200);
    if (Math.random() < 0.3) void sayCommitted();
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 6));
  }
}

/** What was given up is told of when the run of losses is over, so it takes a few rounds. */
async function drain(): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    await buffer.flush();
    while (!buffer.isEmpty()) {
      send(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    putOne();
  }
  await buffer.flush();
  send(1_000);
  await buffer.stop();
  say("drained");
}

buffer.failed.catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
await buffer.start();
process.stdout.write("ready\n");
await (mode === "drain" ? drain() : feed());
