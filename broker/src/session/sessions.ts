/** All sessions by client id, their subscriptions' effects on router and pools, and their end. */
import { type Clock, parseFilter } from "@equipoise/shared";
import type { Events } from "../events.ts";
import type { Retained } from "../ingress/retained.ts";
import type { Journal, KeptSession, QueueId, RecoveredQueue } from "../journal/journal.ts";
import { Indexes, Slice } from "../journal/slice.ts";
import { Backlog } from "../pool/backlog.ts";
import type { Pools } from "../pool/pools.ts";
import { type Router, Target } from "../router/router.ts";
import type { Turn } from "../turn.ts";
import type { Neighbours } from "./neighbours.ts";
import { type Line, Session } from "./session.ts";

export interface SessionLimits {
  /** Most messages of QoS 1 and 2 that one client holds unacknowledged. */
  maxInFlight: number;
  /** A plain subscriber's queue, connected or not, in bytes; the oldest messages are dropped at the bound. */
  maxQueueBytes: number;
  /** Part of a queue kept in memory when the rest is on disk. */
  maxHotBytes: number;
  /** Sessions that wait for their client; at the bound the one that has waited longest ends. */
  maxOfflineSessions: number;
  /** A session whose client stays away this long ends. */
  expireAfterMs: number;
}

export interface SessionsOptions {
  limits: SessionLimits;
  router: Router;
  pools: Pools;
  journal: Journal;
  retained: Retained;
  turn: Turn;
  events: Events;
  clock: Clock;
  onReadFailed: (error: Error) => void;
  /** Present in a cluster. */
  neighbours?: Neighbours | undefined;
}

/** Under this pool's name the journal keeps the queues of plain subscribers, by client id; no pool can have it. */
const noPool = "";

/** The target of each plain subscription of a session. */
type Targets = Map<string, Target>;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #targets = new WeakMap<Session, Targets>();
  readonly #targetsByQos = new WeakMap<Session, Target[]>();
  readonly #woken = new Set<Session>();
  /** Sessions without a connection, by when it ended; insertion order is the order of leaving. */
  readonly #offlineSinceMs = new Map<Session, number>();

  constructor(options: SessionsOptions) {
    this.#options = options;
    options.turn.addStep(() => this.#drain());
  }

  /** Messages that receivers have taken since the start. */
  delivered = 0;

  /** Why nobody may join a pool now, or `undefined`. */
  poolRefusal(pool: string): string | undefined {
    return this.#options.pools.refusal(pool);
  }

  get count(): number {
    return this.#sessions.size;
  }

  /**
   * Brings back the sessions that the journal has kept, without their clients.
   * @returns the journal's queues that are not theirs
   */
  recover(kept: readonly KeptSession[], queues: readonly RecoveredQueue[]): RecoveredQueue[] {
    const own = new Map(queues.filter(({ pool }) => pool === noPool).map((queue) => [queue.filter, queue]));
    for (const { clientId, subscriptions } of kept) {
      const session = this.#create(clientId, false);
      const queue = own.get(clientId);
      own.delete(clientId);
      if (queue !== undefined) this.#openQueue(session, queue.id);
      for (const [text, qos] of subscriptions) this.#restore(session, text, qos);
      for (const slice of queue?.slices ?? []) session.queue?.push(slice);
      this.#offlineSinceMs.set(session, this.#options.clock.monotonicMs());
    }
    // A queue whose session is gone: the crash came between the two.
    for (const { id } of own.values()) this.#options.journal.closeQueue(id);
    return queues.filter(({ pool }) => pool !== noPool);
  }

  #restore(session: Session, text: string, qos: number): void {
    session.subscriptions.set(text, qos);
    const { pool, filter } = parseFilter(text);
    if (pool === undefined) this.#route(session, filter, qos);
  }

  /**
   * A client connects: no other broker has it from now on. Without the engine only a client without a session can.
   * @throws EquipoiseError EQ_ENGINE_AWAY
   */
  claim(clientId: string, clean: boolean): Promise<void> | undefined {
    const { neighbours } = this.#options;
    return neighbours === undefined ? undefined : this.#claim(neighbours, clientId, clean);
  }

  async #claim(neighbours: Neighbours, clientId: string, clean: boolean): Promise<void> {
    try {
      const { kept, moved } = await neighbours.own(clientId, clean);
      if (this.#sessions.get(clientId)?.connected === true) return;
      if (kept !== undefined) this.adopt(kept, false);
      else this.forget(clientId);
      if (moved) this.#giveUp(clientId);
    } catch (error) {
      if (!clean) throw error;
    }
  }

  /** What is to be published when its broker dies with the client connected, as a PUBLISH frame. */
  keepWill(clientId: string, frame: Buffer): void {
    this.#options.neighbours?.keepWill(clientId, frame);
  }

  adopt({ clientId, subscriptions }: KeptSession, elsewhere: boolean): void {
    const known = this.#sessions.get(clientId);
    if (known?.connected === true) return;
    const session = known ?? this.#create(clientId, false);
    const wanted = new Map(subscriptions);
    for (const text of [...session.subscriptions.keys()]) if (!wanted.has(text)) this.#drop(session, text);
    for (const [text, qos] of wanted)
      if (session.subscriptions.get(text) !== qos) this.#restore(session, text, qos);
    if (elsewhere) this.#offlineSinceMs.delete(session);
    else this.left(clientId);
  }

  forget(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined || session.clean || session.connected) return;
    this.#close(session);
  }

  takenOver(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    session.disconnect("takenOver");
    this.#offlineSinceMs.delete(session);
    this.#giveUp(clientId);
  }

  /** What this broker holds for the client is another one's, or was. */
  #giveUp(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined || session.clean) return;
    session.surrender();
    const queue = session.queue?.queue;
    if (queue !== undefined) this.#options.neighbours?.giveUp(queue);
  }

  left(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined || session.clean || session.connected || this.#offlineSinceMs.has(session))
      return;
    this.#offlineSinceMs.set(session, this.#options.clock.monotonicMs());
  }

  *connected(): Iterable<string> {
    for (const { clientId, connected } of this.#sessions.values()) if (connected) yield clientId;
  }

  kept(): KeptSession[] {
    return [...this.#sessions.values()]
      .filter(({ clean }) => !clean)
      .map(({ clientId, subscriptions }) => ({ clientId, subscriptions: [...subscriptions] }));
  }

  /** Calls back when the session's subscriptions are as safe as they are promised to be. */
  whenKept(session: Session, done: (error: Error | undefined) => void): void {
    if (session.clean) done(undefined);
    else this.#options.journal.flush(done);
  }

  #keep(session: Session): void {
    if (!session.clean) this.#options.journal.keepSession(session.clientId, () => [...session.subscriptions]);
  }

  /** The session for a client that has connected; `present` tells whether it is an old one [MQTT-3.2.2-2]. */
  open(clientId: string, clean: boolean): { session: Session; present: boolean } {
    const known = this.#sessions.get(clientId);
    if (known !== undefined) {
      if (!clean && !known.clean) {
        this.#offlineSinceMs.delete(known);
        this.#rejoin(known);
        return { session: known, present: true };
      }
      this.#end(known);
    }
    const session = this.#create(clientId, clean);
    this.#keep(session);
    return { session, present: false };
  }

  #create(clientId: string, clean: boolean): Session {
    const { limits, turn } = this.#options;
    const session = new Session({
      clientId,
      clean,
      maxInFlight: limits.maxInFlight,
      nowMs: () => turn.nowMs,
      wake: (which) => this.wake(which),
      onDelivered: () => {
        this.delivered++;
      },
      onGivenUp: (messages) => this.#options.events.emit({ event: "session.dropped", clientId, messages }),
    });
    this.#sessions.set(clientId, session);
    return session;
  }

  /** The connection of a session ended. @param failed it was not a clean DISCONNECT */
  detach(session: Session, failed: boolean): void {
    session.detach(failed);
    this.#options.neighbours?.disown(session.clientId, session.clean);
    this.#options.neighbours?.forgetWill(session.clientId);
    if (session.clean) return this.#end(session);
    for (const filter of session.subscriptions.keys()) this.#leave(session, filter);
    this.#offlineSinceMs.set(session, this.#options.clock.monotonicMs());
    const oldest = this.#offlineSinceMs.keys().next().value;
    if (this.#offlineSinceMs.size > this.#options.limits.maxOfflineSessions && oldest !== undefined)
      this.#expire(oldest);
  }

  /** Ends sessions whose clients have stayed away for too long. */
  removeExpired(): void {
    const now = this.#options.clock.monotonicMs();
    for (const [session, since] of this.#offlineSinceMs) {
      if (now - since < this.#options.limits.expireAfterMs) return;
      this.#expire(session);
    }
  }

  attach(session: Session, line: Line): void {
    session.attach(line);
    this.#options.neighbours?.confirm(session.clientId);
    this.wake(session);
  }

  /** Something may be sendable to this session, from its own queue or its pools. */
  wake(session: Session): void {
    this.#woken.add(session);
    this.#options.pools.wake(session);
    this.#options.turn.request();
  }

  /** Takes a granted subscription; a repeated one replaces the old and gets retained messages again [MQTT-3.8.4-3]. */
  subscribe(session: Session, text: string, qos: number): void {
    const { pool, filter } = parseFilter(text);
    session.subscriptions.set(text, qos);
    this.#keep(session);
    if (pool !== undefined) return this.#options.pools.join(session, pool, filter, qos);
    const queue = this.#route(session, filter, qos);
    this.#sendRetained(queue, filter, qos);
  }

  /** Has the router fill the session's queue; returns it. */
  #route(session: Session, filter: string, qos: number): Backlog {
    const queue = this.#queueOf(session);
    const targets = this.#targetsOf(session);
    const old = targets.get(filter);
    if (old !== undefined) this.#options.router.remove(filter, old);
    else if (session.clean) this.#options.neighbours?.want(filter);
    // One target for all filters of a QoS: what matches any of them stays in the order in which it came.
    const target = this.#targetOf(session, queue, qos);
    targets.set(filter, target);
    this.#options.router.add(filter, target);
    return queue;
  }

  unsubscribe(session: Session, text: string): void {
    if (!session.subscriptions.has(text)) return;
    this.#drop(session, text);
    this.#keep(session);
  }

  #drop(session: Session, text: string): void {
    session.subscriptions.delete(text);
    const target = this.#targetsOf(session).get(text);
    if (target === undefined) return this.#leave(session, text);
    this.#options.router.remove(text, target);
    if (session.clean) this.#options.neighbours?.wantNoMore(text);
    this.#targetsOf(session).delete(text);
  }

  #sendRetained(queue: Backlog, filter: string, qos: number): void {
    for (const chunk of this.#options.retained.chunksFor(filter)) {
      const indexes = new Indexes();
      for (let index = 0; index < chunk.count; index++) indexes.add(index);
      queue.push(new Slice(chunk, indexes, { qosCap: qos, retained: true }));
    }
  }

  #leave(session: Session, text: string): void {
    const { pool, filter } = parseFilter(text);
    if (pool !== undefined) this.#options.pools.leave(session, pool, filter);
  }

  #rejoin(session: Session): void {
    for (const [text, qos] of session.subscriptions) {
      const { pool, filter } = parseFilter(text);
      if (pool !== undefined) this.#options.pools.join(session, pool, filter, qos);
    }
  }

  #expire(session: Session): void {
    this.#options.events.emit({ event: "session.expired", clientId: session.clientId });
    this.#end(session);
  }

  #end(session: Session): void {
    this.#close(session);
    if (!session.clean) this.#options.journal.keepSession(session.clientId, undefined);
  }

  #close(session: Session): void {
    session.end();
    for (const text of [...session.subscriptions.keys()]) this.#drop(session, text);
    session.queue?.close();
    this.#offlineSinceMs.delete(session);
    this.#woken.delete(session);
    if (this.#sessions.get(session.clientId) === session) this.#sessions.delete(session.clientId);
  }

  #targetOf(session: Session, queue: Backlog, qos: number): Target {
    let byQos = this.#targetsByQos.get(session);
    if (byQos === undefined) {
      byQos = [];
      this.#targetsByQos.set(session, byQos);
    }
    const target = byQos[qos] ?? new Target(queue, qos);
    byQos[qos] = target;
    return target;
  }

  #targetsOf(session: Session): Targets {
    let targets = this.#targets.get(session);
    if (targets === undefined) {
      targets = new Map();
      this.#targets.set(session, targets);
    }
    return targets;
  }

  #queueOf(session: Session): Backlog {
    const { journal } = this.#options;
    if (session.queue !== undefined) return session.queue;
    const durable = !session.clean && journal.durable;
    return this.#openQueue(session, durable ? journal.openQueue(noPool, session.clientId) : undefined);
  }

  #openQueue(session: Session, queueId: QueueId | undefined): Backlog {
    const { limits, journal, events, onReadFailed, neighbours } = this.#options;
    const shared = queueId !== undefined && neighbours !== undefined;
    const { maxQueueBytes: maxBytes } = limits;
    const queue: Backlog = new Backlog({
      limits: { maxBytes, maxHotBytes: hotBytesOf(queueId, limits, shared) },
      fed: shared,
      journal,
      queue: queueId,
      onReady: () => {
        const messages = queue.full && !shared ? queue.dropOldest() : 0;
        if (messages > 0) events.emit({ event: "session.dropped", clientId: session.clientId, messages });
        this.#woken.add(session);
        this.#options.turn.request();
      },
      onReadFailed,
    });
    session.queue = queue;
    const fed = { backlog: queue, taken: true, dropAtBytes: maxBytes, wanted: () => session.wanted };
    if (shared) neighbours.attach(queueId, fed);
    return queue;
  }

  #drain(): void {
    const woken = [...this.#woken];
    this.#woken.clear();
    for (const session of woken) {
      session.drain();
      const queue = session.queue?.queue;
      if (queue !== undefined) this.#options.neighbours?.ask(queue);
    }
  }
}

/** What is fed is little, and in memory. */
function hotBytesOf(queue: QueueId | undefined, limits: SessionLimits, shared: boolean): number {
  if (shared) return Number.POSITIVE_INFINITY;
  return queue === undefined ? limits.maxQueueBytes : limits.maxHotBytes;
}
