/** A program's HTTP endpoints; among its metrics is what its process costs. Nothing listens without an address. */
import { encodeFamilies, type Family } from "./exposition.ts";
import { ProcessMetrics } from "./process-metrics.ts";
import { HttpServer } from "./server.ts";

export interface EndpointsOptions {
  /** HOST:PORT, checked by the configuration. */
  address: string | undefined;
  /** The program's own metrics of this moment. */
  families: () => Family[];
  /** Why it is not ready, or `undefined`. */
  unreadyReason: () => string | undefined;
}

export class Endpoints {
  readonly #process = new ProcessMetrics();
  readonly #server: HttpServer | undefined;

  constructor({ address, families, unreadyReason }: EndpointsOptions) {
    if (address === undefined) return;
    const metrics = (): string => encodeFamilies([...families(), ...this.#process.families()]);
    this.#server = new HttpServer(address, { metrics, unreadyReason });
  }

  /** Returns their URL, if they have one. @throws EquipoiseError EQ_PORT_IN_USE, EQ_LISTEN_FAILED */
  async start(): Promise<string | undefined> {
    if (this.#server === undefined) return undefined;
    this.#process.start();
    return await this.#server.start();
  }

  async stop(): Promise<void> {
    this.#process.stop();
    await this.#server?.stop();
  }
}
