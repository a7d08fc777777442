/**
 * Wills of the clients connected to a broker, kept in the engine for when that broker dies together with them: then who
 * finds it dead publishes them. While it lives a broker publishes them itself.
 */
import type { Engine } from "./engine.ts";
import type { Keys } from "./keys.ts";

export interface WillsOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  /** Takes a will as a PUBLISH frame. */
  publish: (frame: Buffer) => void;
  onFailed: (error: unknown) => void;
}

export class Wills {
  readonly #options: WillsOptions;
  /** PUBLISH frames by client id. */
  readonly #wills = new Map<string, Buffer>();

  constructor(options: WillsOptions) {
    this.#options = options;
  }

  keep(clientId: string, frame: Buffer): void {
    const { engine, keys, consumer, onFailed } = this.#options;
    this.#wills.set(clientId, frame);
    if (engine.here) engine.ask("HSET", keys.wills(consumer), clientId, frame).catch(onFailed);
  }

  /** The client's connection has ended. */
  forget(clientId: string): void {
    const { engine, keys, consumer, onFailed } = this.#options;
    if (!this.#wills.delete(clientId) || !engine.here) return;
    engine.ask("HDEL", keys.wills(consumer), clientId).catch(onFailed);
  }

  /** The engine is back, or the others took this broker for dead: they know no will of it any more. */
  async tell(): Promise<void> {
    const { engine, keys, consumer, onFailed } = this.#options;
    try {
      await engine.ask("DEL", keys.wills(consumer));
      for (const [clientId, frame] of this.#wills)
        await engine.ask("HSET", keys.wills(consumer), clientId, frame);
    } catch (error) {
      onFailed(error);
    }
  }

  /** Publishes the wills of a dead broker's clients. */
  async execute(dead: string): Promise<void> {
    const { engine, keys, publish, onFailed } = this.#options;
    try {
      const wills = (await engine.ask("HVALS", keys.wills(dead))) as Buffer[];
      for (const frame of wills) publish(frame);
      await engine.ask("DEL", keys.wills(dead));
    } catch (error) {
      onFailed(error);
    }
  }
}
