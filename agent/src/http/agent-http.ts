/** The agent's HTTP endpoints; nothing listens without an address. */
import { encodeFamilies, HttpServer, ProcessMetrics } from "@equipoise/shared";
import { agentFamilies, type Snapshot } from "./metrics.ts";

export interface AgentHttpOptions {
  /** HOST:PORT on this machine. */
  address: string | undefined;
  snapshot: () => Snapshot;
  /** Why the agent is not ready, or undefined. */
  unreadyReason: () => string | undefined;
}

export class AgentHttp {
  readonly #process = new ProcessMetrics();
  readonly #server: HttpServer | undefined;

  constructor({ address, snapshot, unreadyReason }: AgentHttpOptions) {
    if (address === undefined) return;
    this.#server = new HttpServer(address, {
      metrics: () => encodeFamilies([...agentFamilies(snapshot()), ...this.#process.families()]),
      unreadyReason,
    });
  }

  /** Returns its URL, if it has one. @throws EquipoiseError EQ_PORT_IN_USE, EQ_LISTEN_FAILED */
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
