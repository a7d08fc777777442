/** The streams of this agent and their sequence numbers. */
import { EquipoiseError, topicFault, topics } from "@equipoise/shared";
import type { StoredStream } from "./protocol.ts";
import type { Stream } from "./queue.ts";

/** An agent that is fed nonsense as symbols must not grow without end. */
const maxStreams = 10_000;

export interface NumberedStream extends Stream {
  /** The last sequence number given. */
  seq: number;
}

export class Streams {
  readonly #agentId: string;
  readonly #byName = new Map<string, NumberedStream>();
  readonly #byId = new Map<number, NumberedStream>();

  constructor(agentId: string, stored: readonly StoredStream[]) {
    this.#agentId = agentId;
    for (const { id, venue, symbol, seq } of stored) this.#add(id, venue, symbol, seq);
  }

  /** @throws EquipoiseError EQ_TOPIC_INVALID, EQ_LIMIT_REACHED for a new stream that cannot be */
  of(venue: string, symbol: string): NumberedStream {
    const known = this.#byName.get(`${venue}/${symbol}`);
    if (known !== undefined) return known;
    if (this.#byId.size >= maxStreams) {
      throw new EquipoiseError("EQ_LIMIT_REACHED", `there are ${maxStreams} streams already`);
    }
    return this.#add(this.#byId.size + 1, venue, symbol, 0);
  }

  byId(id: number): NumberedStream {
    const stream = this.#byId.get(id);
    if (stream === undefined) throw new Error(`the buffer names the stream ${id}, which is unknown`);
    return stream;
  }

  #add(id: number, venue: string, symbol: string, seq: number): NumberedStream {
    const name = { venue, symbol, agentId: this.#agentId };
    const topic = topics.ticks(name);
    const fault = topicFault(topic);
    if (fault !== undefined) throw new EquipoiseError("EQ_TOPIC_INVALID", `${topic.slice(0, 60)}… ${fault}`);
    const stream = { id, venue, symbol, seq, topic, lastTopic: topics.last(name) };
    this.#byName.set(`${venue}/${symbol}`, stream);
    this.#byId.set(id, stream);
    return stream;
  }
}
