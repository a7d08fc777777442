/** What the device says about itself, sampled rarely enough to cost nothing that matters. */
import { statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { type AgentHeartbeat, type Clock, type Logger, reasonOf } from "@equipoise/shared";
import si from "systeminformation";
import { NetworkProbe } from "./network.ts";
import { readThrottling } from "./throttling.ts";

export type Device = AgentHeartbeat["device"];

/** The temperature is read by starting a program, so it is read seldom. */
const temperaturePeriodMs = 60_000;

/** Before the first sample. */
export const unknownDevice: Device = {
  cpu: null,
  memoryUsedBytes: null,
  memoryBytes: totalmem(),
  residentBytes: 0,
  temperatureC: null,
  throttling: null,
  diskFreeBytes: null,
  diskBytes: null,
  network: null,
};

export class DeviceProbe {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #network: NetworkProbe;
  readonly #reported = new Set<string>();
  #temperatureC: number | null = null;
  #temperatureAtMs = Number.NEGATIVE_INFINITY;

  /** @param directory its file system is the one whose free space counts */
  constructor(directory: string, clock: Clock, logger: Logger) {
    this.#directory = directory;
    this.#clock = clock;
    this.#logger = logger;
    this.#network = new NetworkProbe(clock);
  }

  /** What cannot be found out is null. */
  async sample(): Promise<Device> {
    const [cpu, memory, disk, temperatureC, throttling, network] = await Promise.all([
      this.#try("cpu", async () => (await si.currentLoad()).currentLoad / 100),
      this.#try("memory", async () => (await si.mem()).active),
      this.#try("disk", () => statfs(this.#directory)),
      this.#temperature(),
      this.#try("throttling", readThrottling),
      this.#try("network", () => this.#network.sample()),
    ]);
    return {
      cpu,
      memoryUsedBytes: memory,
      memoryBytes: totalmem(),
      residentBytes: process.memoryUsage.rss(),
      temperatureC,
      throttling,
      diskFreeBytes: disk === null ? null : disk.bavail * disk.bsize,
      diskBytes: disk === null ? null : disk.blocks * disk.bsize,
      network,
    };
  }

  async #temperature(): Promise<number | null> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#temperatureAtMs < temperaturePeriodMs) return this.#temperatureC;
    this.#temperatureAtMs = nowMs;
    const main = await this.#try("temperature", async () => (await si.cpuTemperature()).main);
    this.#temperatureC = main;
    return main;
  }

  async #try<T>(probe: string, sample: () => Promise<T>): Promise<T | null> {
    try {
      return await sample();
    } catch (error) {
      if (!this.#reported.has(probe)) {
        this.#reported.add(probe);
        this.#logger.debug(
          { event: "probeFailed", probe, reason: reasonOf(error) },
          "a probe of the device failed",
        );
      }
      return null;
    }
  }
}
