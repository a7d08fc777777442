/** Kills with -9 what it is told to, one thing after the other, and waits until all is well again. */
import type { Brokers } from "./brokers.ts";
import type { Engine } from "./engine.ts";
import type { ClusterConfig } from "./settings.ts";

export interface TroubleOptions {
  kill: ClusterConfig["kill"];
  killEveryMs: number;
  brokers: Brokers;
  engine: Engine;
  /** Something has happened, for people. */
  tell: (text: string) => void;
}

export class Trouble {
  readonly #options: TroubleOptions;
  #stop: () => void = () => {};
  #stopped = false;
  #done: Promise<void> = Promise.resolve();
  brokersKilled = 0;
  failovers = 0;

  constructor(options: TroubleOptions) {
    this.#options = options;
  }

  /** @param onFailed what could not be brought back */
  start(onFailed: (error: unknown) => void): void {
    if (this.#options.kill !== "nothing") this.#done = this.#run().catch(onFailed);
  }

  /** Nothing more is killed; resolves when what was killed is back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stop();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { kill, killEveryMs } = this.#options;
    for (let round = 0; ; round++) {
      await new Promise<void>((resolve) => {
        this.#stop = resolve;
        setTimeout(resolve, killEveryMs);
      });
      if (this.#stopped) return;
      if (kill === "primary" || (kill === "both" && round % 2 === 1)) await this.#killPrimary();
      else await this.#killBroker();
    }
  }

  async #killBroker(): Promise<void> {
    const { brokers, tell } = this.#options;
    this.brokersKilled++;
    const id = await brokers.killOne((killed) => tell(`kill -9 of ${killed}`));
    tell(`${id} is back`);
  }

  async #killPrimary(): Promise<void> {
    const { engine, tell } = this.#options;
    this.failovers++;
    tell("kill -9 of the primary");
    const beganMs = performance.now();
    const port = await engine.failOver((newPort) =>
      tell(`primary at ${newPort} after ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`),
    );
    tell(`the killed one is a replica of ${port}`);
  }
}
