/**
 * The streams of this agent and their sequence numbers. When there are too many, those that have been silent the longest
 * are forgotten, once nothing of them is kept or still to be told. Of all of them together one number stays, the
 * highest: a stream that begins later may be one of them and begins behind it, so no number is used for two ticks.
 */
import { EquipoiseError, topicFault, topics } from "@equipoise/shared";
import type { ReadMark } from "../source/source.ts";
import { markOf, readOf } from "./marks.ts";
import type { Commit, Committed, LostRange, Opened, StoredStream } from "./protocol.ts";
import type { Stream } from "./queue.ts";

/** An agent that is fed nonsense as symbols must not grow without end. */
const maxStreams = 10_000;
/** So many are forgotten at once, where so many can be: each that comes again costs a gap record. */
const maxForgotten = 1_000;
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
  /** Of its newest record, or of one behind it. */
  lastPosition: number;
  /** How far it has been read, by its source; undefined before its first trade. */
  read: ReadMark | undefined;
}

export interface StreamsOptions extends Pick<Opened, "streams" | "forgottenSeq" | "end" | "oldest" | "lost"> {
  agentId: string;
  /** Nobody will hear of this one again. */
  onForgotten: (stream: NumberedStream) => void;
}

type Held = Omit<StreamsOptions, "agentId" | "onForgotten">;

/** Before the database is open. */
export const noStreams: Held = { streams: [], forgottenSeq: 0, end: 1, oldest: undefined, lost: [] };

export class Streams {
  readonly #options: StreamsOptions;
  /** By venue, then by symbol: a name of both would have to be made for every tick. */
  readonly #byName = new Map<string, Map<string, NumberedStream>>();
  readonly #byId = new Map<number, NumberedStream>();
  #lastId = 0;
  #forgottenSeq: number;
  /** Those that the database still has. */
  #forgotten: number[] = [];
  /** What is before this position is not kept any more. */
  #keptFrom: number;
  #untold: ReadonlySet<number>;
  /** Those whose mark is to be written though they have no new record. */
  readonly #marked = new Set<NumberedStream>();

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#forgottenSeq = options.forgottenSeq;
    this.#keptFrom = options.oldest ?? options.end;
    this.#untold = streamsOf(options.lost);
    for (const stream of options.streams) this.#add(stream);
  }

  /** @throws EquipoiseError EQ_TOPIC_INVALID, EQ_LIMIT_REACHED when it cannot be */
  begin(venue: string, symbol: string): NumberedStream {
    if (this.#byId.size >= maxStreams) this.#forget();
    if (this.#byId.size >= maxStreams) {
      const reason = `there are ${maxStreams} streams already, and ticks of all of them are kept`;
      throw new EquipoiseError("EQ_LIMIT_REACHED", reason);
    }
    return this.#add({ id: this.#lastId + 1, venue, symbol, seq: this.#forgottenSeq, reserved: 0 });
  }

  /** Everything until then was put or told to be missing. */
  readUntil(stream: NumberedStream, receivedTimeUs: number): void {
    stream.read = { exchangeTimeUs: receivedTimeUs, ...stream.read, receivedTimeUs };
    this.#marked.add(stream);
  }

  /** For a commit with these last numbers, by id. */
  changed(lastSeq: ReadonlyMap<number, number>): StoredStream[] {
    const marked = [...this.#marked].filter(({ id }) => !lastSeq.has(id));
    return [
      ...[...lastSeq].map(([id, seq]) => storedWithReserve(this.byId(id), seq)),
      ...marked.map((stream) => storedWithReserve(stream, stream.committedSeq)),
    ];
  }

  /** For the next commit. */
  get forgotten(): Commit["forgotten"] {
    return { ids: [...this.#forgotten], seq: this.#forgottenSeq };
  }

  /** @param keptFrom the first position that the database or the memory still has */
  committed({ streams, forgotten }: Commit, { lost }: Committed, keptFrom: number): void {
    for (const { id, seq, reserved, mark } of streams) {
      const stream = this.byId(id);
      if (this.#marked.has(stream) && mark === markOf(stream.read)) this.#marked.delete(stream);
      stream.committedSeq = seq;
      stream.reserved = Math.max(stream.reserved, reserved);
    }
    this.#forgotten = this.#forgotten.slice(forgotten.ids.length);
    this.#untold = streamsOf(lost);
    this.#keptFrom = keptFrom;
  }

  find(venue: string, symbol: string): NumberedStream | undefined {
    return this.#byName.get(venue)?.get(symbol);
  }

  byId(id: number): NumberedStream {
    const stream = this.#byId.get(id);
    if (stream === undefined) throw new Error(`the buffer names the stream ${id}, which is unknown`);
    return stream;
  }

  all(): IterableIterator<NumberedStream> {
    return this.#byId.values();
  }

  /** As the newest commit has them. */
  stored(): StoredStream[] {
    return [...this.#byId.values()].map((stream) => stored(stream, stream.committedSeq, stream.reserved));
  }

  #forget(): void {
    const silent = [...this.#byId.values()].filter(
      ({ id, seq, committedSeq, lastPosition }) =>
        lastPosition < this.#keptFrom && seq === committedSeq && !this.#untold.has(id),
    );
    // After a start all are as old as each other; then those with few numbers are the likelier to have ended.
    silent.sort((a, b) => a.lastPosition - b.lastPosition || a.seq - b.seq);
    for (const stream of silent.slice(0, maxForgotten)) {
      this.#byId.delete(stream.id);
      this.#marked.delete(stream);
      const ofVenue = this.#byName.get(stream.venue);
      ofVenue?.delete(stream.symbol);
      if (ofVenue?.size === 0) this.#byName.delete(stream.venue);
      this.#forgotten.push(stream.id);
      this.#forgottenSeq = Math.max(this.#forgottenSeq, stream.seq, stream.reserved);
      this.#options.onForgotten(stream);
    }
  }

  #add({ id, venue, symbol, seq, reserved, mark }: StoredStream): NumberedStream {
    const name = { venue, symbol, agentId: this.#options.agentId };
    const topic = topics.ticks(name);
    const fault = topicFault(topic);
    if (fault !== undefined) throw new EquipoiseError("EQ_TOPIC_INVALID", `${topic.slice(0, 60)}… ${fault}`);
    const numbers = { seq, reserved, committedSeq: seq, takenSeq: undefined };
    const lastPosition = this.#options.end - 1;
    const read = readOf(mark, seq < reserved);
    const stream = { id, lastPosition, venue, symbol, ...numbers, read, topic, lastTopic: topics.last(name) };
    const ofVenue = this.#byName.get(venue) ?? new Map<string, NumberedStream>();
    this.#byName.set(venue, ofVenue.set(symbol, stream));
    this.#byId.set(id, stream);
    this.#lastId = Math.max(this.#lastId, id);
    return stream;
  }
}

const streamsOf = (lost: readonly LostRange[]): Set<number> => new Set(lost.map(({ streamId }) => streamId));

/** The stream as it is after a commit that ends with `seq`, with numbers in reserve for what comes until the next one. */
function storedWithReserve(stream: NumberedStream, seq: number): StoredStream {
  const ahead = Math.min(maxAhead, Math.max(minAhead, 2 * (seq - stream.committedSeq)));
  return stored(stream, seq, Math.max(stream.reserved, seq + ahead));
}

function stored(stream: NumberedStream, seq: number, reserved: number): StoredStream {
  const { id, venue, symbol, read } = stream;
  return { id, venue, symbol, seq, reserved, mark: markOf(read) };
}

/** The streams that have given numbers since the last commit, as they are when all of those are told of. */
export function endedStreams(streams: readonly NumberedStream[]): StoredStream[] {
  return streams
    .filter(({ seq, committedSeq }) => seq > committedSeq)
    .map((stream) => stored(stream, stream.seq, stream.seq));
}

/**
 * While the disk takes no ticks, each commit may be the last one that goes: so many numbers ahead that the next is needed
 * only when a multiple has been used. @returns none while enough are left
 */
export function reservedForLong(streams: readonly NumberedStream[]): StoredStream[] {
  const active = streams.filter(({ seq, committedSeq }) => seq > committedSeq);
  const isLow = active.some(({ seq, reserved, committedSeq }) => reserved - seq < seq - committedSeq);
  if (!isLow) return [];
  return active.map((stream) => {
    const { seq, committedSeq, reserved } = stream;
    const ahead = Math.max(minAhead, 4 * (seq - committedSeq));
    return stored(stream, committedSeq, Math.max(reserved, seq + ahead));
  });
}

/** Few numbers are left: a commit is due, so that no tick has to wait for one. */
export function reserveIsLow({ seq, reserved }: NumberedStream): boolean {
  return reserved - seq < minAhead / 4;
}
