/**
 * The shards of one ordered queue that this broker owns. Brokers divide them by what their members can do: each says so
 * several times a second, takes free shards up to its share, and leaves what is beyond it. A shard that is left takes
 * nothing more, is worked off as far as it is in flight, and is then yielded; so its keys go on elsewhere in order.
 *
 * Who owns a shard is known by its mark, which grows with every change of owner. What a lost lease still tells is
 * refused by the engine.
 */
import { type Clock, EquipoiseError } from "@equipoise/shared";
import type { Slice } from "../../journal/slice.ts";
import type { Argument, Engine, Reply } from "../engine.ts";
import { decodeEntry } from "../entry.ts";
import type { Keys } from "../keys.ts";
import type { SharedQueue } from "../queue.ts";
import { Capacity } from "./capacity.ts";
import type { Layout } from "./layout.ts";
import { Lease } from "./lease.ts";

/** Most entries that one question asks for. */
const maxEntries = 256;
/** A shard stays for so long at least while there are members for it. */
const shortestLeaseMs = 1_000;
/** A shard with an entry of a newer version is left to others for so long. */
const unwantedForMs = 5_000;
const unwantedMark = "-";

export interface ShardsOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  clock: Clock;
  queue: SharedQueue;
  layout: Layout;
  nextChunkId: () => number;
  /** Tells the engine all that is settled. */
  settle: () => Promise<void>;
  /** Has `step` called at the end of the turn. */
  request: () => void;
  /** There are shards here that were not, or the other way round. */
  onChanged: (shards: number) => void;
  /** The engine has refused what this broker told of entries that another one owns. */
  onStale: (entries: number) => void;
  /** An entry was written by a newer version. */
  onUnknown: () => void;
  onFailed: (error: EquipoiseError) => void;
}

type TakenEntry = [
  shard: number,
  id: Buffer,
  content: Buffer,
  unsettled: Buffer | null,
  failed: Buffer | null,
];

export class Shards {
  readonly layout: Layout;
  readonly key: string;
  readonly #options: ShardsOptions;
  readonly #leases = new Map<number, Lease>();
  readonly #leaseOf = new WeakMap<Slice, Lease>();
  readonly #yielding = new Set<Lease>();
  /** Until when, monotonic, shards are left to brokers that know more. */
  readonly #unwanted = new Map<number, number>();
  readonly #capacity = new Capacity();
  #first = 0;
  #balancing = false;
  #reading = false;
  /** The last question brought less than it asked for. */
  #empty = false;
  /** Something has come since the engine was asked. */
  #called = false;
  /** There were members here when the shards were divided last. */
  #present = false;
  #changed = false;

  constructor(options: ShardsOptions) {
    this.#options = options;
    this.layout = options.layout;
    this.key = options.keys.shards(options.queue.name);
  }

  leaseOf(slice: Slice): Lease | undefined {
    return this.#leaseOf.get(slice);
  }

  get heldCount(): number {
    let count = 0;
    for (const { held } of this.#leases.values()) count += held.size;
    return count;
  }

  /** Something was stored in a shard that had nothing. */
  call(): void {
    this.#called = true;
    this.#empty = false;
    this.#options.request();
  }

  /** Once a turn, when there may be something to do. */
  step(): void {
    const wanted = this.#options.queue.fed?.wanted();
    if ((wanted !== undefined) !== this.#present) void this.balance();
    for (const lease of this.#leases.values()) if (lease.leaving && !lease.inFlight) void this.#yield(lease);
    if (wanted !== undefined && wanted > 0 && !this.#empty && !this.#reading) void this.#read(wanted);
  }

  /** Says what the members here can do, and hears which shards are for them. */
  async balance(): Promise<void> {
    const { engine, keys, consumer, queue } = this.#options;
    if (this.#balancing || !queue.opened || !engine.here) return;
    this.#balancing = true;
    this.#present = queue.fed?.wanted() !== undefined;
    const capacity = this.#capacity.told(this.#present ? queue.fed?.ordered?.() : undefined);
    const { layout } = this;
    const args = [queue.name, consumer, capacity, layout.shards, layout.text];
    const reply = await this.#attempt(() =>
      engine.run("balance", [keys.prefix], [...args, ...this.#marks(), ...this.#unwantedMarks()]),
    );
    this.#balancing = false;
    if (reply === undefined) return;
    const [given, lost, excess] = reply as [[number, Buffer][], number[], number];
    for (const shard of lost) this.#lose(this.#leases.get(shard));
    for (const [shard, mark] of given) this.#begin(shard, mark.toString("latin1"));
    this.#leave(excess, capacity === 0);
    this.#tellChange();
  }

  *#marks(): Iterable<Argument> {
    for (const [shard, { fence }] of this.#leases) yield* [shard, fence.mark];
  }

  *#unwantedMarks(): Iterable<Argument> {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [shard, untilMs] of this.#unwanted) {
      if (nowMs >= untilMs) this.#unwanted.delete(shard);
      else if (!this.#leases.has(shard)) yield* [shard, unwantedMark];
    }
  }

  #begin(shard: number, mark: string): void {
    const { queue, clock, onStale, request } = this.#options;
    this.#lose(this.#leases.get(shard));
    const lease = new Lease({
      fence: { key: this.key, shard, mark },
      ...{ stream: `${this.key}#${shard}`, state: queue.state, nowMs: clock.monotonicMs() },
      noteTotals: (bytes, messages) => queue.noteTotals(bytes, messages),
      onRefused: (stale, entries) => {
        onStale(entries);
        this.#lose(stale);
        this.#tellChange();
      },
    });
    this.#leases.set(shard, lease);
    this.#changed = true;
    this.#empty = false;
    this.#called = true;
    request();
  }

  /** Begins to leave shards that are for others now. */
  #leave(excess: number, all: boolean): void {
    const nowMs = this.#options.clock.monotonicMs();
    const leases = [...this.#leases.values()];
    let more = excess - leases.filter(({ leaving }) => leaving).length;
    const movable = leases.filter(
      ({ leaving, sinceMs }) => !leaving && (all || nowMs - sinceMs >= shortestLeaseMs),
    );
    // First those with nothing in flight: their keys wait for nobody.
    movable.sort((a, b) => Number(a.inFlight) - Number(b.inFlight));
    for (const lease of movable) if (more-- > 0) this.#leaveOne(lease);
  }

  #leaveOne(lease: Lease): void {
    lease.leave();
    this.#letGo(lease);
    lease.forgetIdle();
    this.#options.request();
  }

  #letGo({ held }: Lease): void {
    this.#options.queue.fed?.ordered?.()?.letGo((slice) => held.has(slice));
  }

  async #yield(lease: Lease): Promise<void> {
    if (this.#yielding.has(lease)) return;
    this.#yielding.add(lease);
    const { engine, keys, queue, settle } = this.#options;
    const { shard, mark } = lease.fence;
    const reply = await this.#attempt(async () => {
      await settle();
      return engine.run("yieldShard", [keys.prefix], [queue.name, shard, mark]);
    });
    this.#yielding.delete(lease);
    if (reply === undefined) return;
    this.#lose(lease);
    this.#tellChange();
  }

  /** All that this broker owned is others' now. */
  lose(): void {
    for (const lease of [...this.#leases.values()]) this.#lose(lease);
    this.#tellChange();
  }

  #lose(lease: Lease | undefined): void {
    if (lease === undefined) return;
    lease.lose();
    this.#letGo(lease);
    if (this.#leases.get(lease.fence.shard) !== lease) return;
    this.#leases.delete(lease.fence.shard);
    this.#changed = true;
  }

  #tellChange(): void {
    if (!this.#changed) return;
    this.#changed = false;
    this.#options.onChanged(this.#leases.size);
  }

  async #read(wanted: number): Promise<void> {
    const { engine, keys, queue, request } = this.#options;
    const open = this.#inTurn();
    if (open.length === 0) return;
    this.#reading = true;
    this.#called = false;
    const args = open.flatMap(({ fence, cursor }) => [fence.shard, fence.mark, cursor]);
    const reply = await this.#attempt(() =>
      engine.run("takeShards", [keys.prefix], [queue.name, wanted, maxEntries, ...args]),
    );
    this.#reading = false;
    if (reply === undefined) return;
    const [lost, empty, entries] = reply as [number[], number, TakenEntry[]];
    const asked = new Map(open.map((lease) => [lease.fence.shard, lease]));
    for (const shard of lost) this.#lose(asked.get(shard));
    for (const [shard, ...entry] of entries) this.#take(asked.get(shard) as Lease, ...entry);
    this.#empty = empty === 1 && !this.#called;
    this.#tellChange();
    request();
  }

  /** Another shard is the first each time. */
  #inTurn(): Lease[] {
    const open = [...this.#leases.values()].filter(({ leaving }) => !leaving);
    const first = open.length === 0 ? 0 : ++this.#first % open.length;
    return [...open.slice(first), ...open.slice(0, first)];
  }

  #take(
    lease: Lease,
    id: Buffer,
    content: Buffer,
    unsettled: Buffer | null = null,
    failed: Buffer | null = null,
  ): void {
    if (lease.leaving) return;
    const { queue, nextChunkId, clock, onUnknown } = this.#options;
    const entry = decodeEntry(id.toString("latin1"), content, nextChunkId(), unsettled, failed);
    if (entry === undefined) {
      // What comes after it may not go before it.
      this.#unwanted.set(lease.fence.shard, clock.monotonicMs() + unwantedForMs);
      onUnknown();
      return this.#leaveOne(lease);
    }
    lease.take(entry);
    this.#leaseOf.set(entry.slice, lease);
    queue.push(entry);
  }

  /** `undefined` when the engine did not do it. */
  async #attempt(work: () => Promise<Reply>): Promise<Reply | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      if (error.code !== "EQ_ENGINE_AWAY") this.#options.onFailed(error);
      return undefined;
    }
  }
}
