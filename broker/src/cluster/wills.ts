/**
 * Wills of the clients connected to a broker, kept in the engine for when that broker dies together with them: then who
 * finds it dead publishes them, and forgets them when they are stored. When it dies before, another one publishes them,
 * perhaps once more. While it lives a broker publishes them itself.
 */

import type { Committed } from "../journal/journal.ts";
import type { Engine } from "./engine.ts";
import type { Keys } from "./keys.ts";

/** Wills published together. */
const maxPublished = 500;

export interface WillsOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  /** Takes wills as PUBLISH frames. */
  publish: (frames: readonly Buffer[], stored: Committed) => void;
  onFailed: (error: unknown) => void;
}

export class Wills {
  readonly #options: WillsOptions;
  /** PUBLISH frames by client id. */
  readonly #wills = new Map<string, Buffer>();
  /** Dead brokers whose wills are being published. */
  readonly #executing = new Set<string>();

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

  /** Publishes the wills of a dead broker's clients, as long as it is asked to. */
  async execute(dead: string): Promise<void> {
    const { engine, keys, onFailed } = this.#options;
    if (this.#executing.has(dead)) return;
    this.#executing.add(dead);
    try {
      const wills = (await engine.ask("HGETALL", keys.wills(dead))) as Buffer[];
      for (let at = 0; at < wills.length; at += 2 * maxPublished)
        await this.#execute(dead, wills.slice(at, at + 2 * maxPublished));
    } catch (error) {
      onFailed(error);
    } finally {
      this.#executing.delete(dead);
    }
  }

  async #execute(dead: string, wills: readonly Buffer[]): Promise<void> {
    const { engine, keys, consumer, publish } = this.#options;
    const clients = wills.filter((_, at) => at % 2 === 0);
    const frames = wills.filter((_, at) => at % 2 === 1);
    await new Promise<void>((resolve, reject) =>
      publish(frames, (error) => (error === undefined ? resolve() : reject(error))),
    );
    await engine.run("execute", [keys.prefix], [consumer, dead, ...clients]);
  }
}
