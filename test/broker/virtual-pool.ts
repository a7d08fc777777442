/** A pool on its own, in virtual time, with members' connections in which the test decides every answer. */
import type { MemberHeartbeat } from "@equipoise/shared";
import type { HealthChange } from "../../broker/src/health/index.ts";
import { ChunkBuilder, encodePublish } from "../../broker/src/journal/chunk.ts";
import type { MemoryJournal } from "../../broker/src/journal/memory.ts";
import { Indexes, Slice } from "../../broker/src/journal/slice.ts";
import type { Backlog } from "../../broker/src/pool/backlog.ts";
import type { PoolPolicy, PoolSurroundings } from "../../broker/src/pool/contract.ts";
import type { Delivery, Holder } from "../../broker/src/pool/delivery.ts";
import type { Member, Receiver } from "../../broker/src/pool/member.ts";
import type { Pool } from "../../broker/src/pool/pool.ts";
import { expiryPeriodMs, lonePool, poolFilter } from "../support/lone-pool.ts";
import { seededRandom } from "../support/random.ts";

export const filter = poolFilter;

/** One connection: what it holds, and what was taken from it and not answered yet. */
export class VirtualClient implements Receiver {
  readonly clientId: string;
  readonly silenceLimitMs = 0;
  readonly #world: VirtualPool;
  ready = true;
  lastHeardAtMs: number;
  held: Delivery[] = [];
  late: Holder[] = [];
  /** Everything that it was ever sent, by number. */
  readonly got: number[] = [];

  constructor(clientId: string, world: VirtualPool) {
    this.clientId = clientId;
    this.#world = world;
    this.lastHeardAtMs = world.nowMs;
  }

  /** As the pool sees it now. */
  get member(): Member {
    return this.#world.pool.member(this) as Member;
  }

  send(delivery: Delivery, qos: number): void {
    this.got.push(numberOf(delivery));
    this.#world.onSend(this, delivery);
    if (qos === 0) return;
    delivery.sentAtMs = this.#world.nowMs;
    this.held.push(delivery);
  }

  quarantine(delivery: Delivery): void {
    this.late.push(delivery.holder as Holder);
    this.held = this.held.filter((one) => one !== delivery);
  }

  disconnect(reason: string): void {
    throw new Error(`a pool without order ended a connection: ${reason}`);
  }

  /** Any packet of it came. */
  speak(): void {
    this.lastHeardAtMs = this.#world.nowMs;
  }

  beat(said: Partial<MemberHeartbeat> = {}): void {
    this.speak();
    this.member.heard({ state: "up", ...said });
  }

  /** Acknowledges, the oldest first. */
  acknowledge(count = 1): void {
    this.speak();
    for (const delivery of this.held.splice(0, count))
      delivery.holder?.acknowledged(delivery, this.#world.nowMs - delivery.sentAtMs);
  }

  reject(): void {
    this.speak();
    const delivery = this.held.shift();
    delivery?.holder?.rejected(delivery, "cannot");
  }

  answerLate(count = 1): void {
    this.speak();
    for (const holder of this.late.splice(0, count)) holder.answeredLate();
  }

  /** Its connection ends: everything goes back, newest first, and late answers cannot come any more. */
  end(failed: boolean): void {
    this.ready = false;
    this.late = [];
    for (const delivery of this.held.splice(0).reverse()) delivery.holder?.returned(delivery, failed);
    this.#world.pool.leave(this, filter);
  }
}

export class VirtualPool {
  nowMs = 10_000;
  readonly pool: Pool;
  readonly #journal: MemoryJournal;
  readonly #backlog: Backlog;
  readonly dead: number[] = [];
  readonly rescues: { clientId: string; messages: number }[] = [];
  readonly changes: (HealthChange & { clientId: string })[] = [];
  readonly checkerFailures: string[] = [];
  published = 0;
  onSend: (client: VirtualClient, delivery: Delivery) => void = () => {};

  constructor(policy: Partial<PoolPolicy> = {}, seed = 1) {
    const random = seededRandom(seed);
    const surroundings: Partial<PoolSurroundings> = {
      bury: (_pool, _filter, delivery) => {
        this.dead.push(numberOf(delivery));
        this.pool.onAcknowledged(delivery);
      },
      onHealth: (_pool, { clientId }, change) => void this.changes.push({ clientId, ...change }),
      onCheckerFailed: (_pool, reason) => void this.checkerFailures.push(reason),
      onRescued: (_pool, { clientId }, messages) => void this.rescues.push({ clientId, messages }),
    };
    const lone = lonePool({ nowMs: () => this.nowMs, random, policy, surroundings });
    this.pool = lone.pool;
    this.#backlog = lone.backlog;
    this.#journal = lone.journal;
  }

  get settled(): number {
    return this.#backlog.settled;
  }

  join(clientId: string, qos = 1): VirtualClient {
    const client = new VirtualClient(clientId, this);
    this.pool.join(client, filter, qos);
    this.pool.drain();
    return client;
  }

  publish(count = 1, qos: 0 | 1 | 2 = 1): void {
    const builder = new ChunkBuilder(64);
    const indexes = new Indexes();
    for (let number = 0; number < count; number++) {
      const payload = Buffer.from(String(this.published++));
      const frame = encodePublish("ticks/v/s/x", payload, { qos, retain: false });
      indexes.add(builder.addFrame(frame, 0, frame.length));
    }
    this.#backlog.push(new Slice(builder.finish(this.#journal.nextId()), indexes));
    this.pool.drain();
  }

  /** Lets time pass, with the pool's regular checks; `each` runs before every check. */
  pass(forMs: number, each: () => void = () => {}): void {
    const endMs = this.nowMs + forMs;
    while (this.nowMs < endMs) {
      const nextMs = (Math.floor(this.nowMs / expiryPeriodMs) + 1) * expiryPeriodMs;
      this.nowMs = Math.min(endMs, nextMs);
      const due = this.nowMs === nextMs;
      // It may take some time of its own.
      each();
      if (due) this.pool.expire(this.nowMs);
      this.pool.drain();
    }
  }
}

export const numberOf = (delivery: Delivery): number => Number(delivery.payload.toString());
