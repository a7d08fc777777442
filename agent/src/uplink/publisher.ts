/**
 * Publishes the buffer's ticks in order, QoS 1, a bounded number in flight. A tick leaves the buffer when its PUBACK
 * came; on a new connection what is in flight goes out again, oldest first, before anything newer.
 */
import { type Clock, Deque, withinMs } from "@equipoise/shared";
import type { TickQueue } from "../buffer/queue.ts";
import { Batches, type Message } from "./batches.ts";
import type { Lane } from "./lane.ts";
import { Pace } from "./pace.ts";
import { TickIds } from "./packet-ids.ts";
import { type EncodePayload, encoders, type PayloadForm } from "./payload.ts";
import { Unanswered } from "./unanswered.ts";
import { Window } from "./window.ts";

export interface PublisherOptions {
  /** Most messages in flight. */
  window: number;
  /** How long a tick waits for others of its stream to share a message; 0 sends each by itself. */
  lingerMs: number;
  /** Most ticks in one message. */
  maxBatch: number;
  payload: PayloadForm;
  /** How long a broker may acknowledge nothing at all. */
  ackTimeoutMs: number;
  queue: TickQueue;
  clock: Clock;
}

export interface PublisherStats {
  /** Ticks taken from the buffer and not yet acknowledged. */
  inFlight: number;
  /** Distinct ticks sent at least once. */
  published: number;
  /** Ticks sent again on a new connection. */
  repeated: number;
  acknowledged: number;
  oldestBufferedTimeMs: number | null;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #window = new Window();
  readonly #batches: Batches;
  readonly #encode: EncodePayload;
  readonly #pace: Pace;
  /** In the order in which they were first sent; one that is acknowledged stays behind one that is not. */
  readonly #sent = new Deque<Message>();
  readonly #ids = new TickIds<Message>();
  readonly #unanswered: Unanswered;
  #order = 0;
  #lane: Lane | undefined;
  #pumpScheduled = false;
  #paused = false;
  #closed = false;
  #cancelLinger = (): void => {};
  #published = 0;
  #repeated = 0;
  #acknowledged = 0;
  #waiters: { done: () => boolean; resolve: () => void }[] = [];

  constructor(options: PublisherOptions) {
    const { window, lingerMs, maxBatch, payload, ackTimeoutMs } = options;
    this.#options = options;
    this.#encode = encoders[payload];
    this.#batches = new Batches({ lingerMs, maxBatch, maxOpen: window });
    this.#pace = new Pace(window);
    this.#unanswered = new Unanswered(ackTimeoutMs);
  }

  /** Begins to follow the buffer. */
  start(): void {
    this.#options.queue.onReadable(() => this.#schedulePump());
  }

  stats(): PublisherStats {
    return {
      inFlight: this.#window.size,
      published: this.#published,
      repeated: this.#repeated,
      acknowledged: this.#acknowledged,
      oldestBufferedTimeMs: this.#window.oldest()?.bufferedTimeMs ?? null,
    };
  }

  /** Publishes on this connection from now on, what is in flight first. */
  attach(lane: Lane): void {
    this.#lane = lane;
    this.#ids.clear();
    this.#unanswered.reset();
    lane.follow((packetId) => {
      // A late answer of an earlier connection means nothing any more.
      if (lane === this.#lane) this.#acknowledge(packetId);
    });
    this.#paused = false;
    this.#pace.reset(this.#options.clock.monotonicMs());
    for (let index = 0; index < this.#sent.length; index += 1) {
      const message = this.#sent.at(index);
      if (message === undefined || message.acknowledged) continue;
      this.#repeated += message.entries.length;
      this.#send(lane, message);
    }
    this.#pump();
  }

  /** Why PUBACKs that this connection still owes will not come any more, or undefined. */
  lost(): string | undefined {
    const oldest = this.#sent.first;
    if (this.#lane === undefined || oldest === undefined) return undefined;
    return this.#unanswered.reason(oldest, this.#options.clock.monotonicMs());
  }

  detach(): void {
    this.#lane = undefined;
    this.#cancelLinger();
  }

  /** Sends nothing more on this connection; resolves when everything sent is acknowledged, or after `timeoutMs`. */
  async pause(timeoutMs: number): Promise<void> {
    this.#paused = true;
    await withinMs(
      this.#options.clock,
      timeoutMs,
      this.#when(() => this.#sent.length === 0),
    );
  }

  /** Goes on after {@link pause}. */
  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  /** Takes no more from the buffer; resolves when nothing is in flight, or after `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    this.#closed = true;
    this.#pump();
    const isIdle = (): boolean => this.#window.size === 0;
    if (this.#lane !== undefined) await withinMs(this.#options.clock, timeoutMs, this.#when(isIdle));
  }

  /** Resolves when everything in the buffer is acknowledged. */
  drained(): Promise<void> {
    return this.#when(() => this.#window.size === 0 && this.#options.queue.isEmpty());
  }

  /** After all acknowledgements of a turn, so that what they make room for leaves in one write. */
  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    setImmediate(() => {
      this.#pumpScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    const lane = this.#lane;
    if (lane === undefined || this.#paused) return;
    const nowMs = this.#options.clock.monotonicMs();
    while (this.#sent.length < this.#pace.limit) {
      const message = this.#next(nowMs);
      if (message === undefined) break;
      this.#published += message.entries.length;
      this.#sent.push(message);
      this.#send(lane, message);
    }
    lane.flush();
    this.#waitForLinger(nowMs);
  }

  #next(nowMs: number): Message | undefined {
    // Once closed nothing comes that would be worth waiting for.
    const due = this.#batches.takeDue(this.#closed ? Number.POSITIVE_INFINITY : nowMs);
    if (due !== undefined || this.#closed) return due;
    for (;;) {
      const tick = this.#options.queue.take();
      if (tick === undefined) return undefined;
      const message = this.#batches.add(this.#window.add(tick), nowMs);
      if (message !== undefined) return message;
    }
  }

  #waitForLinger(nowMs: number): void {
    const { dueMs } = this.#batches;
    this.#cancelLinger();
    // Without room an acknowledgement comes first, and pumps.
    if (dueMs === undefined || this.#sent.length >= this.#pace.limit) return;
    this.#cancelLinger = this.#options.clock.after(Math.max(0, dueMs - nowMs), () => this.#pump());
  }

  #send(lane: Lane, message: Message): void {
    message.sentMs = this.#options.clock.monotonicMs();
    this.#order += 1;
    message.order = this.#order;
    lane.publish(message.topic, this.#ids.allocate(message), this.#encode(message.records));
  }

  #acknowledge(packetId: number): void {
    const message = this.#ids.release(packetId);
    if (message === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    this.#pace.acknowledged(nowMs - message.sentMs, this.#sent.length, nowMs);
    this.#unanswered.acknowledged(message, nowMs);
    message.acknowledged = true;
    while (this.#sent.first?.acknowledged) this.#sent.shift();
    this.#acknowledged += message.entries.length;
    let settled: number | undefined;
    for (const entry of message.entries) settled = this.#window.acknowledge(entry) ?? settled;
    if (settled !== undefined) this.#options.queue.settle(settled);
    this.#schedulePump();
    if (this.#waiters.length > 0) this.#checkWaiters();
  }

  #when(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ done, resolve }));
  }

  #checkWaiters(): void {
    this.#waiters = this.#waiters.filter(({ done, resolve }) => {
      if (done()) resolve();
      return !done();
    });
  }
}
