/** The {@link Store} from outside its thread: requests out, promises back, in order. */
import { Worker } from "node:worker_threads";
import { EquipoiseError, requireSqliteSystem } from "@equipoise/shared";
import { movable, type SeqRange } from "./chunk.ts";
import type {
  Commit,
  Committed,
  DamagedPage,
  Opened,
  Page,
  Reply,
  Request,
  StoreOptions,
} from "./protocol.ts";

interface Waiting {
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
}

// On a large machine V8 would let its heap grow far beyond what the thread needs.
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

// Released packages hold JavaScript, the repository TypeScript.
const workerFile = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";

export class StoreThread {
  #worker: Worker | undefined;
  readonly #waiting: Waiting[] = [];
  #failure: unknown;

  /**
   * Opens the database in the thread, which is started for the first one.
   * @throws EquipoiseError EQ_SYSTEM_UNSUPPORTED, and what {@link Store.open} throws
   */
  async open(options: StoreOptions): Promise<Opened> {
    requireSqliteSystem();
    this.#worker ??= this.#start();
    const reply = await this.#ask({ kind: "open", options });
    if (reply.kind === "opened") return reply.opened;
    throw unexpected(reply);
  }

  async commit(commit: Commit): Promise<Committed> {
    const { chunk } = commit;
    const records = chunk === undefined ? undefined : movable(chunk);
    const request = {
      kind: "commit",
      commit: { ...commit, chunk: chunk && { ...chunk, ...records } },
    } as const;
    const reply = await this.#ask(request, records === undefined ? [] : [records.payloads.buffer]);
    if (reply.kind === "committed") return reply.committed;
    throw unexpected(reply);
  }

  async read(position: number, direction: "up" | "down"): Promise<Page | DamagedPage | undefined> {
    const reply = await this.#ask({ kind: "read", position, direction });
    if (reply.kind === "page") return reply.page;
    throw unexpected(reply);
  }

  async range(range: SeqRange, limit: number): Promise<string[]> {
    const reply = await this.#ask({ kind: "range", range, limit });
    if (reply.kind === "ranged") return reply.payloads;
    throw unexpected(reply);
  }

  /** See {@link Store.close}. */
  async close(clean: boolean): Promise<boolean> {
    const reply = await this.#ask({ kind: "close", clean });
    if (reply.kind === "closed") return reply.released;
    throw unexpected(reply);
  }

  /** Ends the thread without a word to the database; for a start that failed. */
  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    // Inspectors and loaders of the process are not the thread's.
    const worker = new Worker(new URL(workerFile, import.meta.url), { execArgv: [], resourceLimits });
    worker.on("message", (reply: Reply) => this.#take(reply));
    worker.on("error", (error) => this.#fail(error));
    worker.on("exit", () => this.#fail(new Error("the buffer's thread has ended")));
    return worker;
  }

  /** @param handedOver what of the request is not copied */
  #ask(request: Request, handedOver: ArrayBuffer[] = []): Promise<Reply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker?.postMessage(request, handedOver);
    });
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.shift();
    if (reply.kind === "failed") waiting?.reject(new EquipoiseError(reply.code, reply.detail));
    else waiting?.resolve(reply);
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

const unexpected = (reply: Reply): Error => new Error(`the buffer's thread answered with ${reply.kind}`);
