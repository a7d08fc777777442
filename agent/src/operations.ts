/** How others look into a running agent: requests over MQTT, the control socket, HTTP; and whether it makes progress. */
import { join } from "node:path";
import {
  type AgentHeartbeat,
  type Clock,
  Endpoints,
  EquipoiseError,
  type Logger,
  reasonOf,
} from "@equipoise/shared";
import type { AgentConfig } from "./config.ts";
import { AgentControl } from "./control/agent-control.ts";
import { agentFamilies } from "./http/metrics.ts";
import type { Archive } from "./requests/archive.ts";
import type { Channel } from "./requests/channel.ts";
import { createMethods } from "./requests/methods.ts";
import { Requests } from "./requests/requests.ts";
import type { LiveSources } from "./requests/symbols.ts";
import { Liveness, type Stages } from "./systemd/liveness.ts";

export interface OperationsOptions {
  config: AgentConfig;
  clock: Clock;
  logger: Logger;
  archive: Archive;
  channel: Channel;
  sources: LiveSources;
  /** The heartbeat of this moment. */
  state: () => AgentHeartbeat;
  stages: () => Stages;
  /** A bug has shown itself. */
  failed: (error: unknown) => void;
}

/** Beyond what the configuration lets a stage wait. */
const patienceMs = 30_000;

export class Operations {
  readonly #options: OperationsOptions;
  readonly #requests: Requests;
  readonly #control: AgentControl;
  readonly #http: Endpoints;
  readonly #liveness: Liveness;

  constructor(options: OperationsOptions) {
    const { config, clock, stages, state } = options;
    const { maxPerSecond, allow: allowed } = config.requests;
    const { lingerMs, maxBackoffMs } = config.uplink;
    this.#options = options;
    const methods = createMethods({ ...options, allowed });
    this.#requests = new Requests({ ...options, agentId: config.agentId, methods, maxPerSecond });
    const path = config.control ?? join(config.dataDir, "control.sock");
    this.#control = new AgentControl({ ...options, path });
    this.#http = new Endpoints({
      address: config.http,
      families: () => agentFamilies({ ...state(), requests: this.#requests.stats() }),
      unreadyReason: () => this.#unreadyReason(),
    });
    this.#liveness = new Liveness({ clock, stages, patienceMs: patienceMs + lingerMs + maxBackoffMs });
  }

  /** Returns the URL of the HTTP endpoints, if there are any. @throws EquipoiseError EQ_PORT_IN_USE, EQ_LISTEN_FAILED */
  async start(): Promise<string | undefined> {
    const url = await this.#http.start();
    await this.#startControl();
    this.#requests.start();
    return url;
  }

  /** Answers no more requests. */
  close(): void {
    this.#requests.close();
  }

  /** Once there is no connection any more. */
  async stop(): Promise<void> {
    await this.#requests.idle();
    await this.#control.stop();
    await this.#http.stop();
  }

  /** What is stuck, or undefined. */
  stalled(): string | undefined {
    return this.#liveness.stalled();
  }

  /** The agent works without it. */
  async #startControl(): Promise<void> {
    try {
      await this.#control.start();
    } catch (error) {
      const reason = reasonOf(error);
      const { line, code } = new EquipoiseError("EQ_LISTEN_FAILED", `the control socket: ${reason}`);
      this.#options.logger.warn({ event: "controlFailed", code, reason }, line);
    }
  }

  #unreadyReason(): string | undefined {
    const { state, uplink, sources } = this.#options.state();
    if (state !== "up") return `the agent is ${state}`;
    if (!uplink.connected) return "there is no connection to a broker";
    const away = sources.find(
      ({ state: is, connection }) => is === "running" && connection?.connected === false,
    );
    return away === undefined ? undefined : `the source ${away.spec} is not connected`;
  }
}
