/** The HTTP endpoints, put together from the parts of the broker that they show. */
import { type Clock, Endpoints, EquipoiseError } from "@equipoise/shared";
import { brokerFamilies, type Snapshot } from "./metrics.ts";
import { Readiness } from "./readiness.ts";

export interface OperationsOptions {
  /** HOST:PORT; nothing listens without it. */
  address: string | undefined;
  clock: Clock;
  snapshot: () => Snapshot;
  /** Successful commits of the journal so far. */
  commits: () => number;
  /** Nothing can be stored now. */
  degraded: () => boolean;
}

/** What an operator's tools ask the broker. */
export class Operations {
  readonly #endpoints: Endpoints;
  readonly #readiness: Readiness;

  constructor({ address, clock, snapshot, commits, degraded }: OperationsOptions) {
    this.#readiness = new Readiness(clock, commits, degraded);
    this.#endpoints = new Endpoints({
      address,
      families: () => brokerFamilies(snapshot()),
      unreadyReason: () => this.#readiness.unreadyReason(),
    });
  }

  /** Answers from now on, `/readyz` with 503 until `listening`. Returns its URL, if it has one. */
  async start(): Promise<string | undefined> {
    return await this.#endpoints.start();
  }

  /** Clients can connect. */
  listening(): void {
    this.#readiness.listening();
  }

  stopping(): void {
    this.#readiness.stopping();
  }

  storeFailed(error: Error): void {
    const code = error instanceof EquipoiseError ? `${error.code} ` : "";
    this.#readiness.storeFailed(`${code}${error.message}`);
  }

  async stop(): Promise<void> {
    await this.#endpoints.stop();
  }
}
