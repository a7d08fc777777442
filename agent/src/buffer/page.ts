/**
 * The ticks of a chunk that was read, made one by one as they are taken. As objects all at once they would outlive V8's
 * young generation, and a drain would fill the heap with them; the bytes they are made from are one object outside it.
 */
import type { AgedTick } from "./batch.ts";
import type { Range } from "./positions.ts";
import type { StoredChunk } from "./protocol.ts";
import type { Stream } from "./queue.ts";

const lineFeed = 10;

/** @param wanted positions of the chunk, ascending */
export function* ticksWithin(
  chunk: StoredChunk,
  wanted: readonly Range[],
  streamOf: (id: number) => Stream,
): IterableIterator<AgedTick> {
  const { first, streamIds, payloads, uptimeMs: bufferedUptimeMs, wallMs: bufferedTimeMs } = chunk;
  const bytes = Buffer.from(payloads.buffer, payloads.byteOffset, payloads.byteLength);
  let position = first;
  let at = 0;
  for (const [from, to] of wanted) {
    for (; position <= to; position += 1) {
      const end = bytes.indexOf(lineFeed, at);
      if (position >= from) {
        const stream = streamOf(streamIds[position - first] ?? 0);
        const payload = bytes.toString("utf8", at, end);
        yield { position, stream, payload, bufferedTimeMs, bufferedUptimeMs };
      }
      at = end + 1;
    }
  }
  // Left to the garbage collection, some 60 MB of these would gather before it looks outside its heap.
  payloads.buffer.transfer(0);
}
