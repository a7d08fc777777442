import { cpuUs } from "./process-figures.ts";

/** Reads clock and CPU times at the beginning and the end of what is measured. */
export class Meter {
  readonly #pid: number;
  #atMs = 0;
  #brokerUs = 0;
  #own = process.cpuUsage();

  constructor(pid: number) {
    this.#pid = pid;
  }

  begin(): void {
    this.#atMs = performance.now();
    this.#brokerUs = cpuUs(this.#pid);
    this.#own = process.cpuUsage();
  }

  end(): { elapsedMs: number; brokerCpuUs: number; generatorCpuUs: number } {
    const { user, system } = process.cpuUsage(this.#own);
    const elapsedMs = performance.now() - this.#atMs;
    return { elapsedMs, brokerCpuUs: cpuUs(this.#pid) - this.#brokerUs, generatorCpuUs: user + system };
  }
}
