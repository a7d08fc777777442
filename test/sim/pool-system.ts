/** The broker's own pool, with its real members, credits, backlog and strategy, in virtual time. */
import type { MemberHeartbeat } from "@equipoise/shared";
import { Chunk, encodePublish } from "../../broker/src/journal/chunk.ts";
import type { MemoryJournal } from "../../broker/src/journal/memory.ts";
import { Indexes, Slice } from "../../broker/src/journal/slice.ts";
import type { Backlog } from "../../broker/src/pool/backlog.ts";
import type { Delivery, Holder } from "../../broker/src/pool/delivery.ts";
import type { Receiver } from "../../broker/src/pool/member.ts";
import type { Pool } from "../../broker/src/pool/pool.ts";
import { createStrategy, type StrategyName } from "../../broker/src/strategy/index.ts";
import { expiryPeriodMs, lonePool, poolFilter } from "../support/lone-pool.ts";
import type { Connection } from "./member/connection.ts";
import type { Answer } from "./member/synthetic-member.ts";
import { maxDeliveries, type System, type SystemSurroundings } from "./system/system.ts";
import type { Message } from "./world/message.ts";

const frame = encodePublish("ticks/sim/A-B/edge", Buffer.alloc(0), { qos: 1, retain: false });
const starts = Uint32Array.of(0, frame.length);

/** A chunk of one message that knows which it is. */
class MessageChunk extends Chunk {
  readonly message: Message;

  constructor(id: number, message: Message) {
    super(id, 1, frame.length);
    this.message = message;
    this.load(frame, starts);
  }
}

/** What is on the wire: the delivery, or after a timeout only whom to tell of the late answer. */
interface OnWire {
  delivery: Delivery;
  lateTo: Holder | undefined;
}

/** Stands for a session: gives out no packet identifiers, but keeps them busy as long. */
class SyntheticReceiver implements Receiver {
  readonly clientId: string;
  readonly #connection: Connection;
  readonly #nowMs: () => number;
  readonly #onWire = new Map<Delivery, OnWire>();
  readonly silenceLimitMs = 0;
  lastHeardAtMs: number;

  constructor(connection: Connection, nowMs: () => number) {
    this.clientId = connection.member.name;
    this.#connection = connection;
    this.#nowMs = nowMs;
    this.lastHeardAtMs = nowMs();
  }

  get ready(): boolean {
    return this.#connection.open;
  }

  send(delivery: Delivery): void {
    delivery.sentAtMs = this.#nowMs();
    const entry: OnWire = { delivery, lateTo: undefined };
    this.#onWire.set(delivery, entry);
    this.#connection.send(messageOf(delivery), (answer) => this.#answered(entry, answer));
  }

  quarantine(delivery: Delivery): void {
    const entry = this.#onWire.get(delivery);
    if (entry !== undefined) entry.lateTo = delivery.holder;
    this.#onWire.delete(delivery);
  }

  disconnect(reason: string): void {
    throw new Error(`a pool without order ended a connection: ${reason}`);
  }

  /** The connection has ended: everything goes back, newest first so that order is kept. */
  detach(failed: boolean): void {
    for (const delivery of [...this.#onWire.keys()].reverse()) delivery.holder?.returned(delivery, failed);
    this.#onWire.clear();
  }

  #answered({ delivery, lateTo }: OnWire, answer: Answer): void {
    this.lastHeardAtMs = this.#nowMs();
    if (lateTo !== undefined) return lateTo.answeredLate();
    this.#onWire.delete(delivery);
    if (answer === "rejected") delivery.holder?.rejected(delivery, "cannot");
    else delivery.holder?.acknowledged(delivery, this.#nowMs() - delivery.sentAtMs);
  }
}

export class PoolSystem implements System {
  readonly #surroundings: SystemSurroundings;
  readonly #journal: MemoryJournal;
  readonly #pool: Pool;
  readonly #backlog: Backlog;
  readonly #receivers = new Map<Connection, SyntheticReceiver>();
  readonly #health = new Map<string, string>();
  /** Not to be given anything is what they want: that is no flap. */
  readonly #draining = new Set<string>();
  readonly #drained: (() => void) | undefined;
  #awake = false;
  flaps = 0;

  /** @param drained where its messages come as they are wanted: has the rest looked at what is wanted */
  constructor(strategy: StrategyName, surroundings: SystemSurroundings, drained?: () => void) {
    this.#surroundings = surroundings;
    this.#drained = drained;
    const random = (): number => surroundings.random.uniform();
    const lone = lonePool({
      nowMs: () => surroundings.timeline.nowMs,
      random,
      policy: { strategy: createStrategy(strategy, random), maxDeliveries },
      surroundings: {
        wake: () => this.#wake(),
        fed: drained !== undefined,
        bury: (_pool, _filter, delivery) => this.#bury(delivery),
      },
    });
    this.#pool = lone.pool;
    this.#backlog = lone.backlog;
    this.#journal = lone.journal;
    this.#watch();
  }

  joined(connection: Connection): void {
    const receiver = new SyntheticReceiver(connection, () => this.#surroundings.timeline.nowMs);
    this.#receivers.set(connection, receiver);
    this.#pool.join(receiver, poolFilter, 1);
  }

  left(connection: Connection, failed: boolean): void {
    const receiver = this.#receiverOf(connection);
    this.#receivers.delete(connection);
    receiver.detach(failed);
    this.#pool.leave(receiver, poolFilter);
    this.#health.delete(receiver.clientId);
    receiver.lastHeardAtMs = this.#surroundings.timeline.nowMs;
    this.#draining.delete(receiver.clientId);
  }

  heard(connection: Connection, heartbeat: MemberHeartbeat): void {
    const receiver = this.#receiverOf(connection);
    if (heartbeat.state === "draining") this.#draining.add(receiver.clientId);
    this.#pool.member(receiver)?.heard(heartbeat);
  }

  offer(message: Message): void {
    const all = new Indexes();
    all.add(0);
    this.#backlog.push(new Slice(new MessageChunk(this.#journal.nextId(), message), all));
  }

  /** As a feed asks for it. */
  get wanted(): number | undefined {
    return this.#pool.wanted(this.#backlog);
  }

  /** As a feed asks for it. */
  get atOnce(): number {
    return this.#pool.atOnce(this.#backlog);
  }

  /** Messages that no member has. */
  get waiting(): number {
    return this.#backlog.waiting;
  }

  /** A member has nothing and could be given something. */
  get idle(): boolean {
    return this.#pool.members.some(({ inFlight, eligible }) => inFlight === 0 && eligible);
  }

  #receiverOf(connection: Connection): SyntheticReceiver {
    const receiver = this.#receivers.get(connection);
    if (receiver === undefined) throw new Error(`${connection.member.name} is not in the pool`);
    return receiver;
  }

  #bury(delivery: Delivery): void {
    this.#surroundings.ledger.gaveUp(messageOf(delivery));
    this.#pool.onAcknowledged(delivery);
    this.#pool.onFreed();
  }

  /** As the broker's turn: once, after all that happens at this time. */
  #wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.#surroundings.timeline.after(0, () => {
      this.#awake = false;
      this.#pool.drain();
      this.#drained?.();
    });
  }

  #watch(): void {
    const { timeline } = this.#surroundings;
    timeline.after(expiryPeriodMs, () => {
      this.#pool.expire(timeline.nowMs);
      this.#countFlaps();
      this.#watch();
    });
  }

  #countFlaps(): void {
    for (const { clientId, health } of this.#pool.report().memberReports) {
      const before = this.#health.get(clientId) ?? health;
      if (before !== health && !this.#draining.has(clientId)) this.flaps++;
      this.#health.set(clientId, health);
    }
  }
}

function messageOf({ chunk }: Delivery): Message {
  if (!(chunk instanceof MessageChunk)) throw new Error("a delivery that nobody offered");
  return chunk.message;
}
