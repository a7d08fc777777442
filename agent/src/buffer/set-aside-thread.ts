/**
 * Reads what was set aside, in a thread of its own: a large file takes long, and commits must not wait for that. It is
 * there while somebody asks, and a little longer.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Clock } from "@equipoise/shared";
import type { EarlierRange } from "./protocol.ts";

interface Waiting {
  resolve: (payloads: string[]) => void;
  reject: (error: unknown) => void;
}

const idleMs = 30_000;
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

// Released packages hold JavaScript, the repository TypeScript.
const workerFile = import.meta.url.endsWith(".ts") ? "./set-aside-worker.ts" : "./set-aside-worker.js";

export class SetAsideThread {
  readonly #directory: string;
  readonly #clock: Clock;
  #worker: Worker | undefined;
  /** In the order in which they asked. */
  #waiting: Waiting[] = [];
  #cancelIdle = (): void => {};

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** Records of a stream of an earlier epoch, in order, at most `limit`; none once it is stopped meanwhile. */
  range(wanted: EarlierRange, limit: number): Promise<string[]> {
    this.#cancelIdle();
    const worker = this.#worker ?? this.#start();
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      worker.postMessage({ wanted, limit });
    });
  }

  async stop(): Promise<void> {
    this.#cancelIdle();
    const worker = this.#worker;
    this.#worker = undefined;
    for (const { resolve } of this.#waiting.splice(0)) resolve([]);
    if (worker === undefined) return;
    // Terminated, it could be in the middle of a native call; it ends by itself when nothing more can come.
    worker.removeAllListeners("message");
    worker.postMessage("end");
    await once(worker, "exit");
  }

  #start(): Worker {
    const workerData = { directory: this.#directory };
    const worker = new Worker(new URL(workerFile, import.meta.url), {
      execArgv: [],
      resourceLimits,
      workerData,
    });
    worker.on("message", (payloads: string[]) => this.#take(payloads));
    worker.on("error", (error) => this.#fail(error));
    return worker;
  }

  #take(payloads: string[]): void {
    this.#waiting.shift()?.resolve(payloads);
    if (this.#waiting.length === 0) this.#cancelIdle = this.#clock.after(idleMs, () => void this.stop());
  }

  /** Nothing but a bug; whoever asked makes it known. */
  #fail(error: unknown): void {
    this.#worker = undefined;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
