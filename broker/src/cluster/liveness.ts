/**
 * Brokers tell each other through the engine that they live. One that has not for a second is dead: the first to find
 * out releases what it holds. A broker that was taken for dead, because it or its way to the engine was stopped, is
 * told so with its next beat.
 */
import { type Clock, EquipoiseError } from "@equipoise/shared";
import type { Engine } from "./engine.ts";
import type { Keys } from "./keys.ts";

const beatMs = 200;
const lifetimeMs = 1_000;

export interface LivenessOptions {
  engine: Engine;
  keys: Keys;
  clock: Clock;
  brokerId: string;
  /** The broker's name in the engine, of this process alone. */
  consumer: string;
  /** Others have what this broker held. */
  onTakenForDead: () => void;
  onDead: (consumers: readonly string[]) => void;
  /** The wills of a dead broker's clients are this broker's matter; said with each beat until they are published. */
  onInherited: (consumer: string) => void;
  /** Every beat that was answered, with the version of the registry. */
  onBeat: (version: number) => void;
  onFailed: (error: EquipoiseError) => void;
}

export class Liveness {
  readonly #options: LivenessOptions;
  #cancel: (() => void) | undefined;
  #beating = false;
  #known = false;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /** @throws EquipoiseError EQ_BROKER_ID_TAKEN, EQ_ENGINE_AWAY */
  async start(): Promise<void> {
    await this.#requireOwnId();
    await this.beat();
    this.#cancel = this.#options.clock.every(beatMs, () => void this.beat());
  }

  /** One of the same id that was killed is dead soon. */
  async #requireOwnId(): Promise<void> {
    const { engine, keys, clock, consumer, brokerId } = this.#options;
    const args = [consumer, consumer.slice(0, consumer.lastIndexOf("#") + 1), lifetimeMs];
    const deadlineMs = clock.monotonicMs() + 2 * lifetimeMs;
    for (;;) {
      if ((await engine.run("enter", [keys.prefix], args)) === 1) return;
      if (clock.monotonicMs() > deadlineMs)
        throw new EquipoiseError("EQ_BROKER_ID_TAKEN", `broker id ${brokerId}`);
      await new Promise<void>((resolve) => clock.after(beatMs, resolve));
    }
  }

  /** Says that this broker lives, and hears who does not. */
  async beat(): Promise<void> {
    const { engine, keys, consumer } = this.#options;
    if (this.#beating || !engine.here) return;
    this.#beating = true;
    try {
      const reply = await engine.run("beat", [keys.prefix], [consumer, lifetimeMs]);
      this.#hear(reply as [number, Buffer[], number, Buffer[]]);
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      if (error.code !== "EQ_ENGINE_AWAY") this.#options.onFailed(error);
    } finally {
      this.#beating = false;
    }
  }

  #hear([stranger, dead, version, estates]: [number, Buffer[], number, Buffer[]]): void {
    const { onTakenForDead, onDead, onInherited, onBeat } = this.#options;
    if (stranger === 1 && this.#known) onTakenForDead();
    this.#known = true;
    if (dead.length > 0) onDead(dead.map(String));
    for (const consumer of estates) onInherited(String(consumer));
    onBeat(version);
  }

  /** What this broker holds is the others' from now on. */
  async stop(): Promise<void> {
    this.#cancel?.();
    const { engine, keys, consumer } = this.#options;
    if (!engine.here) return;
    try {
      await engine.run("leave", [keys.prefix], [consumer]);
    } catch (error) {
      // The others find out by themselves.
      if (!(error instanceof EquipoiseError)) throw error;
    }
  }
}

/** The name of one process of a broker in the engine, without spaces. */
export function consumerOf(brokerId: string, suffix: string): string {
  return `${encodeURIComponent(brokerId)}#${suffix}`;
}

/** The id of the broker that a consumer is. */
export function brokerOf(consumer: string): string {
  return decodeURIComponent(consumer.slice(0, consumer.lastIndexOf("#")));
}
