/**
 * Where messages come in: checks a PUBLISH, finds its route, and gathers a turn's messages into chunks. What some queue
 * must not lose goes to the journal first; only when it is stored do queues and publishers hear of it. What nobody must
 * keep goes on at the end of the turn, unless its publisher still waits for something stored: its order is kept.
 */

import { Fault } from "../gate/fault.ts";
import { bodyOf, type Chunk, ChunkBuilder, encodePublish } from "../journal/chunk.ts";
import type { Committed, Journal } from "../journal/journal.ts";
import { Indexes, Slice } from "../journal/slice.ts";
import { type Destination, type Router, type Target, Topic } from "../router/router.ts";
import type { Turn } from "../turn.ts";
import type { Retained } from "./retained.ts";

/** A connection as the ingress sees it. */
export interface Publisher {
  /** PUBLISHes of it that are not stored yet. */
  readonly uncommitted: number;
  /** The topic it published to last, as bytes, and what was found for it. */
  lastTopic: { bytes: Buffer; topic: Topic } | undefined;
  /** May it publish to the topic? Remembered by the connection. */
  mayPublish(topic: Topic): boolean;
  /** A message of QoS 1 or 2 was taken; it is owed an acknowledgement, in this order. Returns false for a repeated QoS 2 one. */
  taken(packetId: number, qos: number): boolean;
  /** The next `count` messages are stored. */
  committed(count: number): void;
  /** Nothing of what was not stored may be acknowledged. */
  storeFailed(error: Error): void;
  /** A full pool holds back the acknowledgements of whoever feeds it. */
  heldBy(backlog: Destination): void;
}

/** Topics that the broker itself listens to. */
export type Observer = (publisher: Publisher, topic: Topic, payload: Buffer) => void;

/** A chunk is closed at either bound, so that a commit and a read-back stay short. */
const maxChunkBytes = 262_144;
const maxChunkMessages = 4_096;

/** A target has a place for what each kind of batch has for it so far. */
type Kind = 0 | 1;
const passing: Kind = 0;
const stored: Kind = 1;

class Batch {
  readonly kind: Kind;
  readonly builder: ChunkBuilder;
  readonly targets: Target[] = [];
  /** Publishers in the order of their messages, with how many acknowledgements each is owed. */
  readonly publishers: Publisher[] = [];
  readonly counts: number[] = [];
  /** Who is told when all of it is stored, and what came before. */
  readonly waiting: Committed[] = [];

  constructor(kind: Kind, sizeHint: number) {
    this.kind = kind;
    this.builder = new ChunkBuilder(sizeHint);
  }

  addTo(targets: readonly Target[], index: number): void {
    for (const target of targets) {
      let open = target.open[this.kind];
      if (open === undefined) {
        open = new Indexes();
        target.open[this.kind] = open;
        this.targets.push(target);
      }
      open.add(index);
    }
  }

  owe(publisher: Publisher): void {
    const last = this.publishers.length - 1;
    if (this.publishers[last] === publisher) this.counts[last] = (this.counts[last] as number) + 1;
    else {
      this.publishers.push(publisher);
      this.counts.push(1);
    }
  }

  get empty(): boolean {
    return this.builder.count + this.publishers.length + this.waiting.length === 0;
  }
}

export class Ingress {
  readonly #router: Router;
  readonly #journal: Journal;
  readonly #turn: Turn;
  readonly #retained: Retained;
  readonly #observe: Observer;
  readonly #onStoreFailed: (error: Error) => void;
  #stored: Batch | undefined;
  #passing: Batch | undefined;
  #sizeHint = 4_096;
  #volatileId = 0;
  /** Chunks given to the journal that it has not answered for. */
  #commitsUnderWay = 0;
  received = 0;
  receivedBytes = 0;
  /** Messages that matched no queue: acknowledged, counted, gone. */
  unmatched = 0;
  /** Messages that a full pool with `whenFull: reject` did not take. */
  refused = 0;

  constructor(options: {
    router: Router;
    journal: Journal;
    turn: Turn;
    retained: Retained;
    observe: Observer;
    onStoreFailed: (error: Error) => void;
  }) {
    this.#router = options.router;
    this.#journal = options.journal;
    this.#turn = options.turn;
    this.#retained = options.retained;
    this.#observe = options.observe;
    this.#onStoreFailed = options.onStoreFailed;
    this.#turn.addStep(() => this.#endTurn());
  }

  /**
   * Takes a PUBLISH frame from a connection.
   * @throws Fault malformed, badTopic or notAuthorised: the connection must be closed
   */
  publish(publisher: Publisher, bytes: Buffer, start: number, body: number, end: number): void {
    const first = bytes[start] as number;
    const qos = (first >> 1) & 3;
    const topicEnd = body + 2 + (((bytes[body] as number) << 8) | (bytes[body + 1] as number));
    const payloadStart = qos === 0 ? topicEnd : topicEnd + 2;
    if (body + 2 > end || payloadStart > end)
      throw new Fault("malformed", "a PUBLISH shorter than its topic");
    const packetId = qos === 0 ? 0 : ((bytes[topicEnd] as number) << 8) | (bytes[topicEnd + 1] as number);
    checkFlags(first, qos, packetId);
    const topic = this.#topicOf(publisher, bytes, body + 2, topicEnd);
    if (topic.fault !== undefined) throw new Fault("badTopic", `PUBLISH to a topic that ${topic.fault}`);
    if (!publisher.mayPublish(topic)) throw new Fault("notAuthorised", `PUBLISH to ${topic.name}`);
    const retain = (first & 1) !== 0;
    if (refuses(topic)) return this.#refuse(topic, qos);
    this.received++;
    this.receivedBytes += end - start;
    this.#turn.request();
    if (qos > 0 && !publisher.taken(packetId, qos)) return this.#repeat(publisher);
    if (topic.meaning.kind !== "other") this.#observe(publisher, topic, bytes.subarray(payloadStart, end));
    // Before the message itself: both are in one commit, and the acknowledgement stands for both.
    if (retain) this.#retained.set(topic.name, bytes, start, body, end);
    this.#add(publisher, topic, bytes, start, body, end);
  }

  /** What the broker knows of a topic by its name. */
  topic(name: string): Topic {
    return this.#router.refresh(new Topic(name));
  }

  /**
   * Takes a message of the broker's own: a heartbeat, a will, a dead letter.
   * @param flags.fleeting retained only while the broker runs
   */
  publishOwn(
    name: string,
    payload: Uint8Array,
    flags: { qos: 0 | 1 | 2; retain: boolean; fleeting?: boolean },
  ): void {
    const topic = this.topic(name);
    if (topic.fault !== undefined) return;
    this.#takeOwn(topic, encodePublish(name, payload, flags), flags.retain, flags.fleeting !== true);
  }

  /** Takes messages that another broker would have published, as PUBLISH frames; calls back when they are stored. */
  publishFrames(frames: readonly Buffer[], whenStored: Committed): void {
    for (const frame of frames) {
      const body = bodyOf(frame, 0);
      const topic = this.topic(frame.toString("utf8", body + 2, body + 2 + frame.readUInt16BE(body)));
      if (topic.fault === undefined) this.#takeOwn(topic, frame, ((frame[0] as number) & 1) !== 0, true);
    }
    this.#batchFor(true).waiting.push(whenStored);
    this.#turn.request();
  }

  #takeOwn(topic: Topic, frame: Buffer, retain: boolean, keep: boolean): void {
    const body = bodyOf(frame, 0);
    this.#turn.request();
    if (retain) this.#retained.set(topic.name, frame, 0, body, frame.length, keep);
    this.#add(undefined, topic, frame, 0, body, frame.length);
  }

  /** Takes what another broker has sent for subscribers here whose sessions end with their connections. */
  relayed(chunk: Chunk): void {
    const { bytes, starts } = chunk;
    if (bytes === undefined) throw new Error("a chunk without bytes cannot be relayed");
    for (let index = 0; index < chunk.count; index++) {
      const { route } = this.topic(chunk.topicOf(index));
      const targets = route.targets.filter(({ backlog }) => !backlog.fed);
      if (targets.length === 0) continue;
      const batch = this.#batchFor(false);
      const start = starts[index] as number;
      batch.addTo(targets, batch.builder.addFrame(bytes, start, starts[index + 1] as number));
      this.#turn.request();
    }
  }

  #topicOf(publisher: Publisher, bytes: Buffer, start: number, end: number): Topic {
    const last = publisher.lastTopic;
    if (last !== undefined && sameBytes(last.bytes, bytes, start, end))
      return this.#router.refresh(last.topic);
    const topic = this.#router.topicAt(bytes, start, end);
    publisher.lastTopic = { bytes: Buffer.from(bytes.subarray(start, end)), topic };
    return topic;
  }

  /** MQTT 3.1.1 has no other way to refuse a message than to end the connection; QoS 0 promises nothing. */
  #refuse(topic: Topic, qos: number): void {
    this.refused++;
    if (qos > 0) throw new Fault("poolFull", `a pool that gets ${topic.name} is full and refuses`);
  }

  /**
   * A QoS 2 message that has come before: only its acknowledgement goes out again, after whatever is under way, because
   * the message itself may not be stored yet, and may have come over another connection.
   */
  #repeat(publisher: Publisher): void {
    this.#batchFor(this.#journal.durable || publisher.uncommitted > 1).owe(publisher);
  }

  #add(
    publisher: Publisher | undefined,
    topic: Topic,
    bytes: Buffer,
    start: number,
    body: number,
    end: number,
  ): void {
    const { targets, durable, shared } = topic.route;
    const qos = ((bytes[start] as number) >> 1) & 3;
    // `uncommitted` already counts this message when it is owed an acknowledgement.
    const waits = publisher !== undefined && publisher.uncommitted > (qos > 0 ? 1 : 0);
    const keeps = durable || (((bytes[start] as number) & 1) !== 0 && this.#journal.durable);
    const batch = this.#batchFor((keeps && qos > 0) || waits || shared);
    if (publisher !== undefined && qos > 0) batch.owe(publisher);
    if (targets.length === 0) {
      this.unmatched++;
      return;
    }
    const { builder } = batch;
    const index = builder.add(bytes, start, body, end);
    batch.addTo(targets, index);
    if (publisher !== undefined) holdBack(publisher, targets);
    if (builder.byteLength >= maxChunkBytes || builder.count >= maxChunkMessages) this.#endBatches();
  }

  #batchFor(mustStore: boolean): Batch {
    if (mustStore) {
      this.#stored ??= new Batch(stored, this.#sizeHint);
      return this.#stored;
    }
    this.#passing ??= new Batch(passing, this.#sizeHint);
    return this.#passing;
  }

  /**
   * While a commit is under way the next chunk stays open: it would only wait for the journal. So there is a chunk for
   * each commit, not for each turn.
   */
  #endTurn(): void {
    this.#endPassing();
    if (this.#commitsUnderWay === 0) this.#endStored();
  }

  #endBatches(): void {
    this.#endPassing();
    this.#endStored();
  }

  #endPassing(): void {
    const batch = this.#passing;
    this.#passing = undefined;
    if (batch === undefined || batch.empty) return;
    const { chunk, slices } = this.#close(batch, --this.#volatileId);
    this.#handOver(batch, chunk, slices);
  }

  #endStored(): void {
    const batch = this.#stored;
    this.#stored = undefined;
    if (batch === undefined || batch.empty) return;
    const { chunk, slices } = this.#close(batch, this.#journal.nextId());
    const owed = slices.flatMap(({ target, slice }) =>
      target.backlog.queue === undefined ? [] : [{ queue: target.backlog.queue, slice }],
    );
    this.#commitsUnderWay++;
    this.#journal.append(chunk, owed, (error) => {
      this.#commitsUnderWay--;
      if (error === undefined) this.#handOver(batch, chunk, slices);
      else this.#fail(batch, error);
      this.#turn.request();
    });
  }

  #close(batch: Batch, id: number) {
    const chunk = batch.builder.finish(id);
    this.#sizeHint = Math.min(maxChunkBytes, Math.max(1_024, chunk.byteLength));
    const parts = new Map<Destination, number>();
    const slices = batch.targets.map((target) => {
      const { qosCap, backlog } = target;
      const part = parts.get(backlog) ?? 0;
      parts.set(backlog, part + 1);
      const slice = new Slice(chunk, target.open[batch.kind] as Indexes, { qosCap, part });
      target.open[batch.kind] = undefined;
      return { target, slice };
    });
    return { chunk, slices };
  }

  /** The messages are as safe as they must be: queues get them, publishers their acknowledgements. */
  #handOver(batch: Batch, chunk: Chunk, slices: readonly { target: Target; slice: Slice }[]): void {
    chunk.hold();
    for (const { target, slice } of slices) if (!target.backlog.fed) target.backlog.push(slice);
    chunk.release();
    for (const [at, publisher] of batch.publishers.entries()) publisher.committed(batch.counts[at] as number);
    for (const stored of batch.waiting) stored(undefined);
  }

  #fail(batch: Batch, error: Error): void {
    this.#onStoreFailed(error);
    for (const publisher of batch.publishers) publisher.storeFailed(error);
    for (const stored of batch.waiting) stored(error);
  }
}

function refuses({ route }: Topic): boolean {
  for (const { backlog } of route.targets) if (backlog.refuses) return true;
  return false;
}

function holdBack(publisher: Publisher, targets: readonly Target[]): void {
  for (const { backlog } of targets) if (backlog.pressed) publisher.heldBy(backlog);
}

function checkFlags(first: number, qos: number, packetId: number): void {
  if (qos === 3) throw new Fault("malformed", "a PUBLISH with both QoS bits set [MQTT-3.3.1-4]");
  if (qos === 0 && (first & 0x08) !== 0)
    throw new Fault("malformed", "a QoS 0 PUBLISH with DUP [MQTT-3.3.1-2]");
  if (qos > 0 && packetId === 0)
    throw new Fault("malformed", "a PUBLISH with packet identifier 0 [MQTT-2.3.1-1]");
}

function sameBytes(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let at = known.length - 1; at >= 0; at--) if (known[at] !== bytes[start + at]) return false;
  return true;
}
