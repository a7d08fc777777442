/** The {@link Store} from outside its thread: requests out, promises back, in order. */
import { Worker } from "node:worker_threads";
import { EquipoiseError } from "@equipoise/shared";
import type { Commit, Opened, Page, Reply, Request, StoreOptions } from "./protocol.ts";

interface Waiting {
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
}

// Released packages hold JavaScript, the repository TypeScript.
const workerFile = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";

export class StoreThread {
  #worker: Worker | undefined;
  readonly #waiting: Waiting[] = [];
  #failure: unknown;

  /** Starts the thread and opens the database in it. @throws EquipoiseError what {@link Store.open} throws */
  async open(options: StoreOptions): Promise<Opened> {
    // Inspectors and loaders of the process are not the thread's.
    this.#worker = new Worker(new URL(workerFile, import.meta.url), { execArgv: [] });
    this.#worker.on("message", (reply: Reply) => this.#take(reply));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new Error("the buffer's thread has ended")));
    const reply = await this.#ask({ kind: "open", options });
    if (reply.kind === "opened") return reply.opened;
    throw unexpected(reply);
  }

  /** @returns the bytes used in the database afterwards */
  async commit(commit: Commit): Promise<number> {
    const reply = await this.#ask({ kind: "commit", commit }, [commit.streamIds.buffer as ArrayBuffer]);
    if (reply.kind === "committed") return reply.usedBytes;
    throw unexpected(reply);
  }

  async read(from: number, limit: number): Promise<Page> {
    const reply = await this.#ask({ kind: "read", from, limit });
    if (reply.kind === "page") return reply.page;
    throw unexpected(reply);
  }

  async close(): Promise<void> {
    const reply = await this.#ask({ kind: "close" });
    if (reply.kind !== "closed") throw unexpected(reply);
  }

  /** Ends the thread without a word to the database; for a start that failed. */
  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }

  #ask(request: Request, transfer: ArrayBuffer[] = []): Promise<Reply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker?.postMessage(request, transfer);
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
