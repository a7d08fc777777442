/** The broker's own heartbeat: retained, with the time after which it must not be believed. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type BrokerHeartbeat, type Clock, topics, version } from "@equipoise/shared";
import { reportedPools } from "./reported-pools.ts";

export interface HeartbeatSources {
  brokerId: string;
  durability: BrokerHeartbeat["durability"];
  periodMs: number;
  clock: Clock;
  publish: (topic: string, payload: Buffer) => void;
  /** It cannot store anything. */
  degraded: () => boolean;
  /** The part that the broker's stages know. */
  counts: () => Pick<BrokerHeartbeat, "connections" | "received" | "delivered" | "pools">;
}

/** A shorter time says nothing about the CPU. */
const shortestSampleMs = 50;

/** Missed beats after which a heartbeat has expired. */
const beatsToExpire = 3;

export class BrokerHeartbeatSender {
  readonly #sources: HeartbeatSources;
  readonly #lag = monitorEventLoopDelay({ resolution: 10 });
  #cpu = process.cpuUsage();
  #cpuAtMs = 0;
  #draining = false;
  #cancel: (() => void) | undefined;

  constructor(sources: HeartbeatSources) {
    this.#sources = sources;
  }

  start(): void {
    const { clock, periodMs } = this.#sources;
    this.#lag.enable();
    this.#cpu = process.cpuUsage();
    this.#cpuAtMs = clock.monotonicMs();
    this.#cancel = clock.every(periodMs, () => this.sendUp());
    this.sendUp();
  }

  stop(): void {
    this.#cancel?.();
    this.#lag.disable();
    this.send("down");
  }

  /** Says at once how it is. */
  sendUp(): void {
    this.send(this.#draining ? "draining" : this.#sources.degraded() ? "degraded" : "up");
  }

  /** It will be gone in a moment: says so at once, and with every beat until `stop`. */
  drain(): void {
    this.#draining = true;
    this.sendUp();
  }

  send(state: BrokerHeartbeat["state"]): void {
    const { brokerId, durability, clock, periodMs, counts, publish } = this.#sources;
    const timeMs = clock.wallMs();
    const { pools, ...totals } = counts();
    const heartbeat: BrokerHeartbeat = {
      state,
      broker: brokerId,
      version,
      timeMs,
      expiresTimeMs: timeMs + beatsToExpire * periodMs,
      durability,
      load: this.#load(),
      ...totals,
      ...reportedPools(pools),
    };
    publish(topics.brokerHeartbeat(brokerId), Buffer.from(JSON.stringify(heartbeat)));
  }

  #load(): BrokerHeartbeat["load"] {
    const now = this.#sources.clock.monotonicMs();
    const { user, system } = process.cpuUsage(this.#cpu);
    const elapsedMs = Math.max(1, now - this.#cpuAtMs);
    this.#cpu = process.cpuUsage();
    this.#cpuAtMs = now;
    const lagMs = Number.isFinite(this.#lag.mean) ? Math.max(0, this.#lag.mean / 1e6 - 10) : 0;
    this.#lag.reset();
    return {
      eventLoopLagMs: Math.round(lagMs * 10) / 10,
      cpu: elapsedMs < shortestSampleMs ? 0 : Math.round((user + system) / elapsedMs / 10) / 100,
      residentBytes: process.memoryUsage.rss(),
    };
  }
}
