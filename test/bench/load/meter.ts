import type { Load, Result } from "./load.ts";
import { cpuUs } from "./process-figures.ts";

/** Reads clock and CPU times at the beginning and the end of what is measured. */
export class Meter {
  readonly #pids: readonly number[];
  #atMs = 0;
  #brokersUs: readonly number[] = [];
  #own = process.cpuUsage();

  /** @param load names the broker's process first, then others of the subject */
  constructor({ pid, others = [] }: Pick<Load, "pid" | "others">) {
    this.#pids = [pid, ...others.map((other) => other.pid)];
  }

  begin(): void {
    this.#atMs = performance.now();
    this.#brokersUs = this.#pids.map(cpuUs);
    this.#own = process.cpuUsage();
  }

  end(): Pick<Result, "elapsedMs" | "brokerCpuUs" | "othersCpuUs" | "generatorCpuUs"> {
    const { user, system } = process.cpuUsage(this.#own);
    const elapsedMs = performance.now() - this.#atMs;
    const [brokerCpuUs = 0, ...othersCpuUs] = this.#pids.map(
      (pid, at) => cpuUs(pid) - (this.#brokersUs[at] ?? 0),
    );
    return { elapsedMs, brokerCpuUs, othersCpuUs, generatorCpuUs: user + system };
  }
}
