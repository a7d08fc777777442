/** What the agent's buffer gives its store to commit, with room for everything. */
import { movable } from "../../agent/src/buffer/chunk.ts";
import type { Bounds, Commit } from "../../agent/src/buffer/protocol.ts";

const roomy: Bounds = {
  maxBytes: 2 ** 40,
  minFreeDiskBytes: 0,
  keepFromUptimeMs: 0,
  keepBytes: 0,
  expireBeforeUptimeMs: 0,
  evict: false,
  evictable: [1, 1],
};

/** Records of the only stream there is, whose positions are its sequence numbers. */
export interface StreamChunk {
  venue: string;
  symbol: string;
  first: number;
  /** Each with a line feed behind it. */
  payloads: string;
  count: number;
  uptimeMs: number;
  wallMs: number;
  /** How many numbers beyond are given away already. */
  reserve: number;
}

export function commitOf({ venue, symbol, first, payloads, count, reserve, ...times }: StreamChunk): Commit {
  const last = first + count - 1;
  return {
    chunk: {
      first,
      ...movable({
        payloads: new TextEncoder().encode(payloads),
        streamIds: new Uint32Array(count).fill(1),
      }),
      ranges: [{ streamId: 1, fromSeq: first, toSeq: last }],
      ...times,
    },
    streams: [{ id: 1, venue, symbol, seq: last, reserved: last + reserve }],
    done: [0, 0],
    uptimeMs: times.uptimeMs,
    dropped: [],
    told: [],
    forgotten: { ids: [], seq: 0 },
    bounds: roomy,
    isVital: false,
  };
}
