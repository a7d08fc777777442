/**
 * Fills a buffer's database to a size, as a long outage would. It uses the buffer's store alone: numbering 100 million
 * trades one by one would take a quarter of an hour. Their ids are UUIDs, which some venues have, so that they compress
 * no better than real ones. Arguments: the directory, and how many bytes.
 */
import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { join } from "node:path";
import { movable } from "../../../agent/src/buffer/chunk.ts";
import type { Commit } from "../../../agent/src/buffer/protocol.ts";
import { Store } from "../../../agent/src/buffer/store.ts";
import { venueTrade } from "./trade.ts";

const [directory = "", bytes = "0"] = process.argv.slice(2);
const chunkTicks = 4_096;
const epoch = "01M00000000000000000000000";
const bounds = {
  maxBytes: 2 ** 40,
  minFreeDiskBytes: 0,
  keepFromUptimeMs: 0,
  keepBytes: 0,
  expireBeforeUptimeMs: 0,
  evict: false,
  evictable: [1, 1],
} as const;
const streamIds = new Uint32Array(chunkTicks).fill(1);
/** The prices and sizes of one chunk serve for all. */
const head = '{"type":"trade","venue":"binance","symbol":"BTCUSDT","tradeId":"';
const details = Array.from({ length: chunkTicks }, (_, n) => {
  const { price, size, side } = venueTrade(n, 0);
  return `"price":"${price}","size":"${size}","side":"${side}"`;
});

function commitOf(first: number): Commit {
  const timeUs = 1_723_161_255_342_000 + first * 1_000;
  let payloads = "";
  for (let index = 0; index < chunkTicks; index += 1) {
    const us = timeUs + index * 1_000;
    const times = `"exchangeTimeUs":${us - ((index * 7_919) % 30_000)},"receivedTimeUs":${us}`;
    const seq = first + index;
    payloads += `${head}${randomUUID()}",${details[(index * 31) % chunkTicks]},${times},"agent":"bench","epoch":"${epoch}","seq":${seq}}\n`;
  }
  const end = first + chunkTicks - 1;
  return {
    chunk: {
      first,
      ...movable({ payloads: new TextEncoder().encode(payloads), streamIds }),
      ranges: [{ streamId: 1, fromSeq: first, toSeq: end }],
      uptimeMs: first,
      wallMs: timeUs / 1_000,
    },
    streams: [{ id: 1, venue: "binance", symbol: "BTCUSDT", seq: end, reserved: end }],
    done: [0, 0],
    uptimeMs: end,
    dropped: [],
    told: [],
    forgotten: { ids: [], seq: 0 },
    bounds,
  };
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
  store.commit(commitOf(first));
  first += chunkTicks;
}
store.close(true);
process.stdout.write(`${JSON.stringify({ event: "filled", ticks: first - 1 })}\n`);
