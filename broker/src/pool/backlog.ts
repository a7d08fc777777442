/**
 * The queue of one (pool, filter), or of one plain subscriber: every message waits here until a receiver has credit.
 *
 * Messages are kept by slice, not one by one. Only the head of a long backlog is in memory: a slice that arrives while
 * `maxHotBytes` are loaded leaves its bytes on disk and is read back, a batch at a time, when its turn comes.
 * Bytes are charged from arrival to settlement. What happens at `maxBytes` is the policy's matter.
 */
import { Deque, EquipoiseError } from "@equipoise/shared";
import type { Journal, QueueId } from "../journal/journal.ts";
import type { Slice } from "../journal/slice.ts";
import { Delivery } from "./delivery.ts";

/** Above the first share of `maxBytes` a backlog is pressed, below the second it is relieved. */
const highWater = 0.8;
const lowWater = 0.5;

/** What publishers that are held back may have sent beyond twice `maxBytes`, before they are refused. */
const publishersBytes = 67_108_864;

export interface BacklogLimits {
  maxBytes: number;
  /** Bytes of waiting messages kept in memory when there is a disk to leave the rest on. */
  maxHotBytes: number;
  /** At `maxBytes` new messages are refused. */
  refusesWhenFull?: boolean;
  /** At `maxBytes` its owner drops the oldest. */
  dropsWhenFull?: boolean;
}

export class Backlog {
  /** Its messages come from a queue that several brokers share, not from this broker's publishers. */
  readonly fed: boolean;
  readonly #limits: BacklogLimits;
  readonly #journal: Journal;
  /** Absent for queues that live only in memory. */
  readonly #queue: QueueId | undefined;
  /** Called when messages have become ready: arrived, come back or been loaded. */
  readonly #onReady: () => void;
  readonly #onReadFailed: (error: Error) => void;
  readonly #slices = new Deque<Slice>();
  /** Messages that a receiver gave back; they go first. */
  readonly #returned = new Deque<Delivery>();
  /** Slices with anything unsettled. */
  readonly #unsettled = new Set<Slice>();
  /** Slices whose bytes this backlog keeps in memory. */
  readonly #heated = new Set<Slice>();
  /** How many slices at the head of `#slices` are loaded or being loaded. */
  #hotSlices = 0;
  #hotBytes = 0;
  #loading = false;
  #waiting = 0;
  #bytes = 0;
  /** Of a queue that several brokers share: what all of them together have not settled. */
  #shared: { bytes: number; messages: number } | undefined;
  #closed = false;
  #pressed = false;
  /** Publishers that wait for relief; at most one entry for each connection. */
  readonly #held = new Set<() => void>();
  readonly #onPressed: ((pressed: boolean) => void) | undefined;
  #inFlight = 0;
  settled = 0;
  dropped = 0;

  constructor(options: {
    limits: BacklogLimits;
    journal: Journal;
    queue: QueueId | undefined;
    onReady: () => void;
    onReadFailed: (error: Error) => void;
    /** Present where a full queue pushes back on publishers. */
    onPressed?: (pressed: boolean) => void;
    fed?: boolean;
  }) {
    this.fed = options.fed ?? false;
    this.#limits = options.limits;
    this.#journal = options.journal;
    this.#queue = options.queue;
    this.#onReady = options.onReady;
    this.#onReadFailed = options.onReadFailed;
    this.#onPressed = options.onPressed;
  }

  get queue(): QueueId | undefined {
    return this.#queue;
  }

  /** Messages that nobody holds. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Messages that a receiver holds. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Bytes of everything that is not settled, on other brokers too. */
  get byteLength(): number {
    return this.#shared?.bytes ?? this.#bytes;
  }

  /** Messages that nobody holds, on other brokers too as far as is known: there, held ones are counted as well. */
  get waitingEverywhere(): number {
    return Math.max(this.#waiting, (this.#shared?.messages ?? 0) - this.#inFlight);
  }

  /** Bytes of waiting messages that are in memory. */
  get hotBytes(): number {
    return this.#hotBytes;
  }

  /** Publishers that feed it must be held back. */
  get pressed(): boolean {
    return this.#pressed;
  }

  /** Its publishers are refused: by its policy, or because they come back again and again without waiting. */
  get refuses(): boolean {
    if (this.#limits.refusesWhenFull === true) return this.full;
    return this.#pressed && this.byteLength > 2 * this.#limits.maxBytes + publishersBytes;
  }

  get dropsWhenFull(): boolean {
    return this.#limits.dropsWhenFull === true;
  }

  /** The queue has ended: what is still in flight of it is nobody's. */
  get closed(): boolean {
    return this.#closed;
  }

  get full(): boolean {
    return this.byteLength > this.#limits.maxBytes;
  }

  /** Several brokers fill and empty it together: what they say of it decides when it is full. */
  noteTotals(bytes: number, messages: number): void {
    this.#shared = { bytes, messages };
    this.#judgePressure();
  }

  #judgePressure(): void {
    const bytes = this.byteLength;
    if (!this.#pressed && bytes > this.#limits.maxBytes * highWater) this.#press(true);
    else if (this.#pressed && bytes < this.#limits.maxBytes * lowWater) this.#press(false);
  }

  /** Adds a slice behind everything that waits. */
  push(slice: Slice): void {
    if (this.#closed) return this.#finish(slice);
    this.#unsettled.add(slice);
    this.#waiting += slice.waiting;
    this.#bytes += slice.byteLength;
    this.#slices.push(slice);
    const hot = slice.chunk.loaded && this.#hotSlices === this.#slices.length - 1;
    if (!this.#pressed) this.#judgePressure();
    if (hot && (!slice.chunk.durable || this.#hotBytes < this.#limits.maxHotBytes)) this.#heat(slice);
    this.#onReady();
  }

  /** The next message, or `undefined` when none waits or the next ones are still being read from disk. */
  take(): Delivery | undefined {
    const delivery = this.#returned.shift() ?? this.#takeNew();
    if (delivery === undefined) return undefined;
    this.#waiting--;
    this.#inFlight++;
    return delivery;
  }

  #takeNew(): Delivery | undefined {
    this.#dropDamaged();
    const slice = this.#slices.first;
    if (slice === undefined) return undefined;
    if (this.#hotSlices === 0) {
      this.#load();
      return undefined;
    }
    const delivery = new Delivery(this, slice, slice.take());
    if (slice.waiting === 0) {
      this.#slices.shift();
      this.#hotSlices--;
      this.#hotBytes -= slice.byteLength;
      if (this.#hotBytes < this.#limits.maxHotBytes / 2) this.#load();
    }
    return delivery;
  }

  /** What was read back in vain is lost: said, counted, and not in the way of the rest. */
  #dropDamaged(): void {
    while (this.#hotSlices > 0) {
      const slice = this.#slices.first as Slice;
      if (slice.chunk.loaded) return;
      this.#slices.shift();
      this.#hotSlices--;
      this.#hotBytes -= slice.byteLength;
      const lost = slice.waiting;
      this.#waiting -= lost;
      this.dropped += lost;
      this.#abandon(slice);
      this.#onReadFailed(
        new EquipoiseError("EQ_STORE_DAMAGED", `${lost} messages of chunk ${slice.chunk.id}`),
      );
    }
  }

  /** Gives a message back: it is the next to be taken. */
  putBack(delivery: Delivery): void {
    this.#inFlight--;
    delivery.packetId = 0;
    if (this.#closed) return;
    delivery.repeated = true;
    this.#waiting++;
    this.#returned.unshift(delivery);
    this.#onReady();
  }

  /** Gives a message back that nobody was sent: it waits, and nobody is woken for it. */
  putAside(delivery: Delivery): void {
    this.#inFlight--;
    this.#waiting++;
    this.#returned.unshift(delivery);
  }

  /** A receiver is done with a message: it is gone for good. */
  settle(delivery: Delivery): void {
    this.#inFlight--;
    this.settled++;
    delivery.packetId = 0;
    if (!this.#closed) this.#settleSlice(delivery);
  }

  /** A message that was taken will not be delivered. */
  discard(delivery: Delivery): void {
    this.#inFlight--;
    this.dropped++;
    delivery.packetId = 0;
    if (!this.#closed) this.#settleSlice(delivery);
  }

  #settleSlice({ slice, index }: Delivery): void {
    const last = slice.settle(index);
    if (last) this.#done(slice);
    else if (this.#queue !== undefined && slice.chunk.durable) this.#journal.settled(this.#queue, slice);
  }

  /** Drops whole slices from the head until the backlog is within its bytes; returns how many messages went. */
  dropOldest(): number {
    return this.#drop(() => this.full);
  }

  /** Drops everything that waits, as far as no receiver has had it; returns how many messages went. */
  dropAll(): number {
    return this.#drop(() => true);
  }

  /** Forgets what waits without having dropped it: it is other brokers' now. */
  giveUp(): void {
    this.dropped -= this.#drop(() => true);
  }

  /** Lets go of slices without settling them: others deliver what of them is not in flight. */
  letGo(gone: (slice: Slice) => boolean): void {
    const returned = this.#returned.remove(({ slice }) => gone(slice));
    for (const { slice } of returned) slice.forget();
    this.#waiting -= returned.length;
    for (const slice of this.#slices.remove(gone)) {
      this.#waiting -= slice.waiting;
      if (!this.#heated.has(slice)) continue;
      this.#hotSlices--;
      this.#hotBytes -= slice.byteLength;
    }
    for (const slice of [...this.#unsettled].filter(gone)) {
      // Its bytes stay with what is in flight of it.
      this.#heated.delete(slice);
      this.#unsettled.delete(slice);
      this.#bytes -= slice.byteLength;
    }
  }

  /** A message that was taken is another broker's to deliver. */
  forget(delivery: Delivery): void {
    this.#inFlight--;
    delivery.packetId = 0;
    delivery.slice.forget();
  }

  #drop(more: () => boolean): number {
    let dropped = 0;
    // What came back is older than what never went out.
    for (let oldest = this.#returned.first; oldest !== undefined && more(); oldest = this.#returned.first) {
      this.#returned.shift();
      this.#waiting--;
      dropped++;
      this.#settleSlice(oldest);
    }
    while (more()) {
      const slice = this.#slices.shift();
      if (slice === undefined) break;
      const hot = this.#hotSlices > 0;
      if (hot) {
        this.#hotSlices--;
        this.#hotBytes -= slice.byteLength;
      }
      dropped += slice.waiting;
      this.#waiting -= slice.waiting;
      this.#abandon(slice);
    }
    this.dropped += dropped;
    return dropped;
  }

  /** What waits in the slice will not be delivered; what is in flight from it may still be settled. */
  #abandon(slice: Slice): void {
    while (slice.waiting > 0) {
      if (slice.settle(slice.take())) return this.#done(slice);
    }
    if (this.#queue !== undefined && slice.chunk.durable) this.#journal.settled(this.#queue, slice);
  }

  /** Ends the queue: everything that it owed is forgotten, here and in the journal. */
  close(): void {
    this.#closed = true;
    // The bytes are not let go of: what is in flight may have to be sent again.
    this.#heated.clear();
    for (const slice of this.#unsettled) this.#finish(slice);
    this.#unsettled.clear();
    this.#slices.clear();
    this.#returned.clear();
    this.#waiting = 0;
    this.#bytes = 0;
    this.#shared = undefined;
    if (this.#pressed) this.#press(false);
    if (this.#queue !== undefined) this.#journal.closeQueue(this.#queue);
  }

  #done(slice: Slice): void {
    if (this.#unsettled.delete(slice)) this.#bytes -= slice.byteLength;
    this.#finish(slice);
    if (this.#pressed) this.#judgePressure();
  }

  #press(pressed: boolean): void {
    if (this.#onPressed === undefined) return;
    this.#pressed = pressed;
    this.#onPressed(pressed);
    if (pressed) return;
    const held = [...this.#held];
    this.#held.clear();
    for (const relieve of held) relieve();
  }

  /** Calls back once, when the queue is no longer pressed; the returned function forgets the callback. */
  whenRelieved(callback: () => void): () => void {
    this.#held.add(callback);
    return () => this.#held.delete(callback);
  }

  #finish(slice: Slice): void {
    slice.unsettled = 0;
    if (this.#heated.delete(slice)) slice.chunk.release();
    if (this.#queue !== undefined && slice.chunk.durable) this.#journal.settled(this.#queue, slice);
  }

  #heat(slice: Slice): void {
    this.#hotSlices++;
    this.#hotBytes += slice.byteLength;
    this.#heated.add(slice);
    slice.chunk.hold();
  }

  /** Reads the next slices from disk, up to half of what may be in memory. */
  #load(): void {
    if (this.#loading || this.#hotSlices === this.#slices.length) return;
    const next: Slice[] = [];
    let bytes = 0;
    for (let at = this.#hotSlices; at < this.#slices.length && bytes < this.#limits.maxHotBytes / 2; at++) {
      const slice = this.#slices.at(at);
      if (slice === undefined) break;
      next.push(slice);
      bytes += slice.byteLength;
      // Held from now on: another queue may let go of the same chunk while this one waits for it.
      slice.chunk.hold();
    }
    this.#loading = true;
    const missing = next.map(({ chunk }) => chunk).filter(({ loaded }) => !loaded);
    this.#journal.read(missing, (error) => this.#onLoaded(next, error));
  }

  #onLoaded(slices: readonly Slice[], error: Error | undefined): void {
    this.#loading = false;
    for (const slice of slices) {
      const wanted = error === undefined && this.#slices.at(this.#hotSlices) === slice;
      if (wanted) this.#heat(slice);
      slice.chunk.release();
    }
    if (error === undefined) this.#onReady();
    else this.#onReadFailed(error);
  }
}
