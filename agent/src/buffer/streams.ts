/** The streams of this agent and their sequence numbers. */
import { EquipoiseError, topicFault, topics } from "@equipoise/shared";
import type { StoredStream } from "./protocol.ts";
import type { Stream } from "./queue.ts";

/** An agent that is fed nonsense as symbols must not grow without end. */
const maxStreams = 10_000;
/** Numbers are reserved for twice what was used since the last time, within these bounds. */
const minAhead = 256;
const maxAhead = 65_536;

export interface NumberedStream extends Stream {
  /** The last sequence number given. */
  seq: number;
  /** The last number that is durably this run's: one beyond it must not leave the device. */
  reserved: number;
  /** The last number of the newest commit. */
  committedSeq: number;
  /** Everything up to this number was handed out or is in memory; undefined while that is not known. */
  takenSeq: number | undefined;
}

export class Streams {
  readonly #agentId: string;
  readonly #byName = new Map<string, NumberedStream>();
  readonly #byId = new Map<number, NumberedStream>();

  constructor(agentId: string, stored: readonly StoredStream[]) {
    this.#agentId = agentId;
    for (const stream of stored) this.#add(stream);
  }

  /** @throws EquipoiseError EQ_TOPIC_INVALID, EQ_LIMIT_REACHED for a new stream that cannot be */
  of(venue: string, symbol: string): NumberedStream {
    const known = this.find(venue, symbol);
    if (known !== undefined) return known;
    if (this.#byId.size >= maxStreams) {
      throw new EquipoiseError("EQ_LIMIT_REACHED", `there are ${maxStreams} streams already`);
    }
    return this.#add({ id: this.#byId.size + 1, venue, symbol, seq: 0, reserved: 0 });
  }

  find(venue: string, symbol: string): NumberedStream | undefined {
    return this.#byName.get(`${venue}/${symbol}`);
  }

  byId(id: number): NumberedStream {
    const stream = this.#byId.get(id);
    if (stream === undefined) throw new Error(`the buffer names the stream ${id}, which is unknown`);
    return stream;
  }

  all(): IterableIterator<NumberedStream> {
    return this.#byId.values();
  }

  #add({ id, venue, symbol, seq, reserved }: StoredStream): NumberedStream {
    const name = { venue, symbol, agentId: this.#agentId };
    const topic = topics.ticks(name);
    const fault = topicFault(topic);
    if (fault !== undefined) throw new EquipoiseError("EQ_TOPIC_INVALID", `${topic.slice(0, 60)}… ${fault}`);
    const numbers = { seq, reserved, committedSeq: seq, takenSeq: undefined };
    const stream = { id, venue, symbol, ...numbers, topic, lastTopic: topics.last(name) };
    this.#byName.set(`${venue}/${symbol}`, stream);
    this.#byId.set(id, stream);
    return stream;
  }
}

/** The stream as it is after a commit that ends with `seq`, with numbers in reserve for what comes until the next one. */
export function storedWithReserve(stream: NumberedStream, seq: number): StoredStream {
  const { id, venue, symbol, committedSeq } = stream;
  const ahead = Math.min(maxAhead, Math.max(minAhead, 2 * (seq - committedSeq)));
  return { id, venue, symbol, seq, reserved: Math.max(stream.reserved, seq + ahead) };
}

/** Few numbers are left: a commit is due, so that no tick has to wait for one. */
export function reserveIsLow({ seq, reserved }: NumberedStream): boolean {
  return reserved - seq < minAhead / 4;
}
