/** The agent's heartbeat: composed here, sent by whoever can. */
import { type AgentHeartbeat, type Clock, topics, version } from "@equipoise/shared";
import { type DeviceProbe, unknownDevice } from "./device.ts";

export interface HeartbeatOptions {
  agentId: string;
  periodMs: number;
  clock: Clock;
  probe: DeviceProbe;
  /** What the agent's stages say at this moment. */
  observe: () => Pick<AgentHeartbeat, "buffer" | "uplink" | "sources" | "clock">;
  publish: (topic: string, payload: string) => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #topic: string;
  readonly #startedAtMs: number;
  #device = unknownDevice;
  #state: AgentHeartbeat["state"] = "up";
  #cancel: (() => void) | undefined;
  #sampling: Promise<void> | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#topic = topics.agentHeartbeat(options.agentId);
    this.#startedAtMs = options.clock.monotonicMs();
  }

  /** Sends one every period; see {@link publish} for the first. */
  start(): void {
    this.#beat();
    this.#cancel = this.#options.clock.every(this.#options.periodMs, () => this.#beat());
  }

  /** What the broker is to publish when the connection breaks off. */
  will(): { topic: string; payload: string } {
    return { topic: this.#topic, payload: JSON.stringify(this.report("down")) };
  }

  /** Says at once that the agent takes no more ticks. */
  drain(): void {
    this.#state = "draining";
    this.publish();
  }

  /** The last one: down. */
  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#sampling;
    this.#state = "down";
    this.publish();
  }

  #beat(): void {
    this.#sampling ??= this.#sample().finally(() => {
      this.#sampling = undefined;
    });
  }

  async #sample(): Promise<void> {
    this.#device = await this.#options.probe.sample();
    this.publish();
  }

  /** Sends one at once: there is a new connection, or a new state. */
  publish(): void {
    this.#options.publish(this.#topic, JSON.stringify(this.report()));
  }

  /** The agent as it is now. */
  report(state = this.#state): AgentHeartbeat {
    const { agentId: agent, clock, observe } = this.#options;
    const uptimeMs = Math.round(clock.monotonicMs() - this.#startedAtMs);
    const { buffer, uplink, sources, clock: ownClock } = observe();
    return {
      state,
      agent,
      version,
      timeMs: Math.floor(clock.wallMs()),
      uptimeMs,
      buffer,
      clock: ownClock,
      uplink,
      sources,
      device: this.#device,
    };
  }
}
