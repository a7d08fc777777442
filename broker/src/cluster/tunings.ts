/** What operators have changed of pools while brokers run: the same on all brokers, also on those that start later. */
import * as z from "zod";
import { createHealthChecker, healthCheckerNames, healthStates } from "../health/index.ts";
import type { PoolPolicy, Tuning } from "../pool/contract.ts";
import { createStrategy, strategyNames } from "../strategy/index.ts";
import type { Engine } from "./engine.ts";
import type { Keys } from "./keys.ts";

/** A newer version may know more: what this one does not know it leaves as it is. */
const sharedTuning = z.object({
  strategy: z.enum(strategyNames).optional().catch(undefined),
  health: z.enum(healthCheckerNames).optional().catch(undefined),
  weights: z.record(z.string(), z.number()).catch({}),
  operatorHealth: z.record(z.string(), z.enum(healthStates)).catch({}),
});

export interface TuningsOptions {
  engine: Engine;
  keys: Keys;
  /** Uniform in [0, 1). */
  random: () => number;
  /** A pool was tuned on another broker. */
  apply: (pool: string, tuning: Tuning) => void;
  onFailed: (error: unknown) => void;
}

export class Tunings {
  readonly #options: TuningsOptions;
  readonly #tunings = new Map<string, Tuning>();
  /** What the engine has not got yet, by pool. */
  readonly #unshared = new Map<string, string>();

  constructor(options: TuningsOptions) {
    this.#options = options;
  }

  /** A policy with what operators have said of its pool. */
  tuned(policy: PoolPolicy): PoolPolicy {
    return { ...policy, ...this.#tunings.get(policy.name) };
  }

  /** A pool was tuned here. */
  async share({ name, strategy, health, weights, operatorHealth = {} }: PoolPolicy): Promise<void> {
    const tuning = { strategy: strategy.name, health: health.name, weights, operatorHealth };
    this.#unshared.set(name, JSON.stringify(tuning));
    try {
      await this.#tell();
    } catch (error) {
      this.#options.onFailed(error);
    }
  }

  async #tell(): Promise<void> {
    const { engine, keys } = this.#options;
    for (const [name, tuning] of this.#unshared) {
      await engine.ask("HSET", keys.tunings, name, tuning);
      if (this.#unshared.get(name) === tuning) this.#unshared.delete(name);
      await engine.ask("PUBLISH", keys.news, `tuned ${name}`);
    }
  }

  /** @throws EquipoiseError EQ_ENGINE_AWAY */
  async learn(): Promise<void> {
    await this.#tell();
    const { engine, keys } = this.#options;
    const flat = (await engine.ask("HGETALL", keys.tunings)) as Buffer[];
    for (let at = 0; at < flat.length; at += 2) this.#take(String(flat[at]), flat[at + 1] as Buffer);
  }

  /** A pool was tuned on some broker. */
  async hear(pool: string): Promise<void> {
    const { engine, keys, onFailed } = this.#options;
    try {
      const text = (await engine.ask("HGET", keys.tunings, pool)) as Buffer | null;
      if (text !== null) this.#take(pool, text);
    } catch (error) {
      onFailed(error);
    }
  }

  #take(pool: string, text: Buffer): void {
    const { random, apply } = this.#options;
    const { strategy, health, ...named } = sharedTuning.parse(JSON.parse(text.toString("utf8")));
    const tuning: Tuning = {
      ...named,
      ...(strategy === undefined ? {} : { strategy: createStrategy(strategy, random) }),
      ...(health === undefined ? {} : { health: createHealthChecker(health) }),
    };
    this.#tunings.set(pool, tuning);
    apply(pool, tuning);
  }
}
