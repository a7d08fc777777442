/**
 * Fills a buffer's database to a size, as a long outage would. It uses the buffer's store alone: numbering 100 million
 * trades one by one would take a quarter of an hour. Their ids are UUIDs, which some venues have, so that they compress
 * no better than real ones. Arguments: the directory, and how many bytes.
 */
import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Commit } from "../../../agent/src/buffer/protocol.ts";
import { Store } from "../../../agent/src/buffer/store.ts";
import { commitOf } from "../../support/buffer-commit.ts";
import { venueTrade } from "./trade.ts";

const [directory = "", bytes = "0"] = process.argv.slice(2);
const chunkTicks = 4_096;
const epoch = "01M00000000000000000000000";
/** The prices and sizes of one chunk serve for all. */
const head = '{"type":"trade","venue":"binance","symbol":"BTCUSDT","tradeId":"';
const details = Array.from({ length: chunkTicks }, (_, n) => {
  const { price, size, side } = venueTrade(n, 0);
  return `"price":"${price}","size":"${size}","side":"${side}"`;
});

function commitFrom(first: number): Commit {
  const timeUs = 1_723_161_255_342_000 + first * 1_000;
  let payloads = "";
  for (let index = 0; index < chunkTicks; index += 1) {
    const us = timeUs + index * 1_000;
    const times = `"exchangeTimeUs":${us - ((index * 7_919) % 30_000)},"receivedTimeUs":${us}`;
    const seq = first + index;
    payloads += `${head}${randomUUID()}",${details[(index * 31) % chunkTicks]},${times},"agent":"bench","epoch":"${epoch}","seq":${seq}}\n`;
  }
  return commitOf({
    ...{ venue: "binance", symbol: "BTCUSDT", first, payloads, count: chunkTicks, reserve: 0 },
    ...{ uptimeMs: first, wallMs: timeUs / 1_000 },
  });
}

const setAsideBounds = { maxFiles: 0, maxOlderBytes: 0 };
const store = new Store({
  directory,
  agentId: "bench",
  freshEpoch: epoch,
  wallMs: Date.now(),
  setAsideBounds,
});
store.open();
let first = 1;
while (statSync(join(directory, "buffer.db")).size < Number(bytes)) {
  store.commit(commitFrom(first));
  first += chunkTicks;
}
store.close(true);
process.stdout.write(`${JSON.stringify({ event: "filled", ticks: first - 1 })}\n`);
