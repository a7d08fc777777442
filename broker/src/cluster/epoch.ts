import type { Engine } from "./engine.ts";
import type { Keys } from "./keys.ts";

/** Whether the engine's content is what it was: whoever finds that it has no name gives it one. */
export class Epoch {
  readonly #engine: Engine;
  readonly #keys: Keys;
  readonly #consumer: string;
  #known: string | undefined;
  #given = 0;

  constructor(engine: Engine, keys: Keys, consumer: string) {
    this.#engine = engine;
    this.#keys = keys;
    this.#consumer = consumer;
  }

  /** The engine has been emptied since it was asked last. @throws EquipoiseError EQ_ENGINE_AWAY */
  async changed(): Promise<boolean> {
    const name = `${this.#consumer} ${++this.#given}`;
    const there = await this.#engine.run("epoch", [this.#keys.epoch], [name]);
    const before = this.#known;
    this.#known = String(there);
    return before !== undefined && before !== this.#known;
  }
}
