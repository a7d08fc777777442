import { Worker } from "node:worker_threads";
import { monotonicUs } from "./monotonic.ts";

const idle = 0;
const busy = 1;

/** How far behind its plan the service may be before it gives up the time that it has lost. */
const maxBehindUs = 2_000;

/**
 * A server that keeps each message for an exact time and needs no CPU for it. Its event loop stays free, as that of a
 * member which has its prices computed by another thread.
 *
 * A message that has been waiting begins when the one before it was planned to end, so the time that the member needs
 * to take a message and to acknowledge it is part of the service time, and a member that always has work completes
 * exactly `1 / service time` a second, whatever the machine.
 */
export class Service {
  readonly #serviceUs: number;
  readonly #state: Int32Array;
  readonly #end: Float64Array;
  #endUs = 0;
  #waiting = false;

  constructor(serviceMs: number) {
    this.#serviceUs = serviceMs * 1_000;
    const workerData = new SharedArrayBuffer(16);
    this.#state = new Int32Array(workerData, 0, 1);
    this.#end = new Float64Array(workerData, 8, 1);
    new Worker(new URL("./service-thread.ts", import.meta.url), { workerData }).unref();
  }

  /** Serves one message. @param queued how many wait for the service, asked when it has ended */
  async serve(queued: () => number): Promise<void> {
    const nowUs = monotonicUs();
    const begunUs = this.#waiting ? Math.max(this.#endUs, nowUs - maxBehindUs) : nowUs;
    this.#endUs = begunUs + this.#serviceUs;
    if (this.#endUs > nowUs) await this.#until(this.#endUs);
    this.#waiting = queued() > 0;
  }

  async #until(endUs: number): Promise<void> {
    this.#end[0] = endUs;
    Atomics.store(this.#state, 0, busy);
    Atomics.notify(this.#state, 0);
    const { async, value } = Atomics.waitAsync(this.#state, 0, busy);
    if (async) await value;
  }
}

/** The other thread's side: sleeps for as long as it is told, again and again. */
export function serveForever(shared: SharedArrayBuffer, sleepUntil: (timeUs: number) => void): never {
  const state = new Int32Array(shared, 0, 1);
  const end = new Float64Array(shared, 8, 1);
  for (;;) {
    Atomics.wait(state, 0, idle);
    sleepUntil(end[0] ?? 0);
    Atomics.store(state, 0, idle);
    Atomics.notify(state, 0);
  }
}
