/**
 * The embedded durable journal. Group commit: while one commit is under way everything new gathers for the next, so
 * commits grow with the load and a lone message waits for nobody. Settlements ride along; alone they are written after
 * 100 ms, which bounds the repeats after a crash.
 */
import { Worker } from "node:worker_threads";
import { type Clock, EquipoiseError, requireSqliteSystem } from "@equipoise/shared";
import { Chunk } from "./chunk.ts";
import type {
  Committed,
  Journal,
  JournalStats,
  KeptSession,
  QueueId,
  RecoveredQueue,
  Recovery,
} from "./journal.ts";
import { Slice } from "./slice.ts";
import type { Append, Batch, QueueChange, Recovered } from "./sqlite-store.ts";
import type { Reply, Request } from "./sqlite-worker.ts";

const settleDelayMs = 100;

interface Waiting {
  /** Absent when nobody is owed anything: then only the order counts. */
  append: Append | undefined;
  committed: Committed;
}

/** What a commit under way took with it, to be taken back if it fails. */
interface Commit {
  batch: Batch;
  waiting: Waiting[];
  dirty: ReadonlyMap<Slice, QueueId>;
  sessions: ReadonlyMap<string, (() => KeptSession["subscriptions"]) | undefined>;
}

interface Read {
  chunks: readonly Chunk[];
  done: (error: Error | undefined) => void;
}

export class SqliteJournal implements Journal {
  readonly #path: string;
  readonly #clock: Clock;
  /** Told where a damaged file was set aside. */
  readonly #onSetAside: (path: string) => void;
  #worker: Worker | undefined;
  #broken: Error | undefined;
  #lastId = -1;
  #lastQueue = 0;
  #liveChunks = 0;
  #commits = 0;

  #waiting: Waiting[] = [];
  #committing: Commit | undefined;
  #queues: QueueChange[] = [];
  #finished: Batch["finished"] = [];
  #unowned: number[] = [];
  /** By topic and by client id: only the last state counts. */
  #retained = new Map<string, Uint8Array | null>();
  #sessions = new Map<string, (() => KeptSession["subscriptions"]) | undefined>();
  #dirty = new Map<Slice, QueueId>();
  #cancelTimer: (() => void) | undefined;
  readonly #reads: Read[] = [];
  #settle: { resolve: (recovered: Recovered) => void; reject: (error: Error) => void } | undefined;
  #idle: (() => void) | undefined;

  constructor(options: { path: string; clock: Clock; onSetAside: (path: string) => void }) {
    this.#path = options.path;
    this.#clock = options.clock;
    this.#onSetAside = options.onSetAside;
  }

  readonly durable = true;

  async start(): Promise<Recovery> {
    requireSqliteSystem();
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const worker = new Worker(new URL(`./sqlite-worker.${extension}`, import.meta.url), {
      workerData: { path: this.#path },
      execArgv: [],
    });
    this.#worker = worker;
    worker.on("message", (reply: Reply) => this.#onReply(reply));
    worker.on("error", (error) => this.#onBroken(error));
    const now = new Date(this.#clock.wallMs()).toISOString().replace(/[:.]/g, "-");
    const recovered = await this.#open(now);
    if (recovered.setAside !== undefined) this.#onSetAside(recovered.setAside);
    return {
      queues: this.#restore(recovered),
      retained: recovered.retained.flatMap(({ topic, frame }) =>
        frame === null
          ? []
          : [{ topic, frame: Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength) }],
      ),
      sessions: recovered.sessions.flatMap(({ clientId, subscriptions }) =>
        subscriptions === null ? [] : [{ clientId, subscriptions: JSON.parse(subscriptions) }],
      ),
    };
  }

  async #open(now: string): Promise<Recovered> {
    try {
      return await new Promise<Recovered>((resolve, reject) => {
        this.#settle = { resolve, reject };
        this.#post({ kind: "open", now });
      });
    } catch (error) {
      await this.#worker?.terminate();
      this.#worker = undefined;
      throw error;
    }
  }

  #restore({ queues, owed, lastChunk }: Recovered): RecoveredQueue[] {
    this.#lastId = lastChunk;
    const byId = new Map(queues.map((row) => [row.id, { ...row, slices: [] as Slice[] }]));
    this.#lastQueue = Math.max(0, ...byId.keys());
    const chunks = new Map<number, Chunk>();
    for (const row of owed) {
      let chunk = chunks.get(row.chunk);
      if (chunk === undefined) {
        chunk = new Chunk(row.chunk, row.count, row.byteLength);
        chunks.set(row.chunk, chunk);
      }
      chunk.owners++;
      byId.get(row.queue)?.slices.push(Slice.recovered(chunk, row.unsettled, row));
    }
    this.#liveChunks = chunks.size;
    return [...byId.values()];
  }

  nextId(): number {
    return ++this.#lastId;
  }

  openQueue(pool: string, filter: string): QueueId {
    const id = ++this.#lastQueue;
    this.#queues.push({ id, opened: { pool, filter } });
    this.#wakeSoon();
    return id;
  }

  closeQueue(queue: QueueId): void {
    this.#queues.push({ id: queue, opened: null });
    this.#wakeSoon();
  }

  append(chunk: Chunk, owed: readonly { queue: QueueId; slice: Slice }[], committed: Committed): void {
    if (this.#broken !== undefined) return committed(this.#broken);
    if (chunk.bytes === undefined) throw new Error("a chunk without bytes cannot be appended");
    this.#waiting.push({ append: this.#rowsOf(chunk, chunk.bytes, owed), committed });
    if (this.#committing === undefined) this.#commit();
  }

  #rowsOf(
    chunk: Chunk,
    bytes: Buffer,
    owed: readonly { queue: QueueId; slice: Slice }[],
  ): Append | undefined {
    if (owed.length === 0) return undefined;
    chunk.owners = owed.length;
    this.#liveChunks++;
    const rows = owed.map(({ queue, slice }) => ({
      queue,
      part: slice.part,
      qosCap: slice.qosCap,
      unsettled: slice.unsettledBits(),
    }));
    return { id: chunk.id, count: chunk.count, bytes, owed: rows };
  }

  settled(queue: QueueId, slice: Slice): void {
    if (slice.unsettled > 0) {
      this.#dirty.set(slice, queue);
      return this.#wakeSoon();
    }
    this.#dirty.delete(slice);
    this.#finished.push({ queue, chunk: slice.chunk.id, part: slice.part });
    slice.chunk.owners--;
    if (slice.chunk.owners === 0) {
      this.#unowned.push(slice.chunk.id);
      this.#liveChunks--;
    }
    this.#wakeSoon();
  }

  /** Failed attempts are counted in memory: after a restart they begin anew. */
  attempted(): void {}

  read(chunks: readonly Chunk[], done: (error: Error | undefined) => void): void {
    if (this.#broken !== undefined) return done(this.#broken);
    this.#reads.push({ chunks, done });
    this.#post({ kind: "read", ids: chunks.map(({ id }) => id) });
  }

  retain(topic: string, frame: Buffer | undefined): void {
    this.#retained.set(topic, frame ?? null);
    this.#wakeSoon();
  }

  keepSession(clientId: string, subscriptions: (() => KeptSession["subscriptions"]) | undefined): void {
    this.#sessions.set(clientId, subscriptions);
    this.#wakeSoon();
  }

  flush(done: Committed): void {
    if (this.#broken !== undefined) return done(this.#broken);
    this.#waiting.push({ append: undefined, committed: done });
    if (this.#committing === undefined) this.#commit();
  }

  stats(): JournalStats {
    const pendingChunks = this.#waiting.length + (this.#committing?.waiting.length ?? 0);
    return { chunks: this.#liveChunks, commits: this.#commits, pendingChunks };
  }

  async stop(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined || this.#broken !== undefined) return;
    this.#cancelTimer?.();
    if (this.#committing === undefined) this.#commit();
    if (this.#committing !== undefined) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    this.#post({ kind: "close" });
    await exited;
    this.#worker = undefined;
  }

  #wakeSoon(): void {
    if (this.#cancelTimer !== undefined || this.#worker === undefined) return;
    this.#cancelTimer = this.#clock.after(settleDelayMs, () => {
      this.#cancelTimer = undefined;
      if (this.#committing === undefined) this.#commit();
    });
  }

  #commit(): void {
    const waiting = this.#waiting;
    const dirty = this.#dirty;
    const sessions = this.#sessions;
    const updates = Array.from(dirty, ([slice, queue]) => ({
      queue,
      chunk: slice.chunk.id,
      part: slice.part,
      unsettled: slice.unsettledBits(),
    }));
    const batch: Batch = {
      queues: this.#queues,
      appends: waiting.flatMap(({ append }) => append ?? []),
      updates,
      finished: this.#finished,
      unowned: this.#unowned,
      retained: Array.from(this.#retained, ([topic, frame]) => ({ topic, frame })),
      sessions: Array.from(this.#sessions, ([clientId, read]) => ({
        clientId,
        subscriptions: read === undefined ? null : JSON.stringify(read()),
      })),
    };
    if (waiting.length === 0 && Object.values(batch).every((part) => part.length === 0)) return;
    this.#waiting = [];
    this.#queues = [];
    this.#finished = [];
    this.#unowned = [];
    this.#dirty = new Map();
    this.#retained = new Map();
    this.#sessions = new Map();
    this.#committing = { batch, waiting, dirty, sessions };
    this.#post({ kind: "commit", batch });
  }

  #post(request: Request): void {
    this.#worker?.postMessage(request);
  }

  #onReply(reply: Reply): void {
    switch (reply.kind) {
      case "opened":
        return this.#settle?.resolve(reply.recovered);
      case "committed":
        return this.#onCommitted(undefined);
      case "read":
        return this.#onRead(reply.frames, undefined);
      case "failed":
        return this.#onFailed(reply.of, new EquipoiseError(reply.error.code, reply.error.detail));
      case "closed":
        return;
    }
  }

  #onFailed(of: Request["kind"], error: EquipoiseError): void {
    if (of === "open") this.#settle?.reject(error);
    if (of === "read") this.#onRead([], error);
    if (of === "commit") this.#onCommitted(error);
  }

  #onCommitted(error: Error | undefined): void {
    const done = this.#committing;
    this.#committing = undefined;
    if (done === undefined) return;
    if (error === undefined) this.#commits++;
    else this.#takeBack(done);
    for (const { committed } of done.waiting) committed(error);
    // After a failure the next append or the timer tries again: a full disk must not make a busy loop.
    // A callback may have appended, and so have begun the next commit.
    const more = this.#waiting.length > 0 || (error === undefined && this.#idle !== undefined);
    if (more && this.#committing === undefined) this.#commit();
    if (this.#committing === undefined) this.#idle?.();
  }

  /** What a failed commit should have removed is still to be removed; its appends were refused to their publishers. */
  #takeBack({ batch, dirty, sessions }: Commit): void {
    this.#liveChunks -= batch.appends.length;
    this.#queues = [...batch.queues, ...this.#queues];
    this.#finished = [...batch.finished, ...this.#finished];
    this.#unowned = [...batch.unowned, ...this.#unowned];
    for (const { topic, frame } of batch.retained)
      if (!this.#retained.has(topic)) this.#retained.set(topic, frame);
    for (const [clientId, read] of sessions)
      if (!this.#sessions.has(clientId)) this.#sessions.set(clientId, read);
    for (const [slice, queue] of dirty) if (slice.unsettled > 0) this.#dirty.set(slice, queue);
    this.#wakeSoon();
  }

  #onRead(frames: readonly (Uint8Array | null)[], error: Error | undefined): void {
    const read = this.#reads.shift();
    if (read === undefined) return;
    for (const [index, bytes] of frames.entries()) {
      if (bytes === null) continue;
      read.chunks[index]?.load(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    }
    read.done(error);
  }

  #onBroken(error: Error): void {
    this.#broken = new EquipoiseError("EQ_STORE_FAILED", `the journal's thread ended: ${error.message}`, {
      cause: error,
    });
    this.#settle?.reject(this.#broken);
    for (const { committed } of [...(this.#committing?.waiting ?? []), ...this.#waiting])
      committed(this.#broken);
    for (const { done } of this.#reads.splice(0)) done(this.#broken);
    this.#idle?.();
  }
}
