/**
 * How an ordered queue is divided: keys are hashed to a fixed number of shards, each a stream of its own that one
 * broker owns at a time. All brokers must do it alike, so the layout stands in the engine beside the queue.
 */
import { hash } from "../../hash.ts";
import type { Chunk } from "../../journal/chunk.ts";
import { Indexes, Slice } from "../../journal/slice.ts";
import { keyOf } from "../../pool/key.ts";

/** Of the hash, and of what shards hold. */
const version = 1;
const shardCount = 16;

/** The layout of a queue without order. */
export const plainLayout = "";

export class Layout {
  readonly #key: string;

  /** @param key `topic`, or a top-level field of the JSON record */
  constructor(key: string) {
    this.#key = key;
  }

  /** As brokers compare it: version/shards/key. */
  get text(): string {
    return `${version}/${shardCount}/${this.#key}`;
  }

  get shards(): number {
    return shardCount;
  }

  /** A slice as the shards get it: each its own messages, in their order. */
  split(slice: Slice): Map<number, Slice> {
    const parts = new Map<number, Indexes>();
    for (let place = 0; place < slice.count; place++) {
      const index = slice.indexAt(place);
      const shard = this.#shardOf(slice.chunk, index);
      let part = parts.get(shard);
      if (part === undefined) {
        part = new Indexes();
        parts.set(shard, part);
      }
      part.add(index);
    }
    const { chunk, qosCap } = slice;
    return new Map(Array.from(parts, ([shard, indexes]) => [shard, new Slice(chunk, indexes, { qosCap })]));
  }

  #shardOf(chunk: Chunk, index: number): number {
    const name = keyOf(chunk.topicOf(index), () => chunk.payloadOf(index), this.#key);
    return hash(name, 0) % shardCount;
  }
}

/** The key by which a layout orders; `undefined` for none; a version that is not known orders by nothing that is. */
export function keyOfLayout(text: string): string | undefined {
  const key = text.slice(`${version}/${shardCount}/`.length);
  return new Layout(key).text === text ? key : undefined;
}
