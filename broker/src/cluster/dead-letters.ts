/** Dead letters of a cluster: one stream for each pool, the same for all brokers, bounded by number. */
import { EquipoiseError, topics } from "@equipoise/shared";
import type { Events } from "../events.ts";
import type { Journal, QueueId, RecoveredQueue } from "../journal/journal.ts";
import type { Slice } from "../journal/slice.ts";
import type { Backlog } from "../pool/backlog.ts";
import {
  type DeadLetter,
  type DeadLetterBook,
  encodeLetter,
  frameOf,
  letterOf,
  single,
} from "../pool/dead-letters.ts";
import type { Delivery } from "../pool/delivery.ts";
import type { Engine } from "./engine.ts";
import type { Holding } from "./holding.ts";
import type { Keys } from "./keys.ts";

type Entries = [id: Buffer, fields: [name: Buffer, letter: Buffer]][];

export interface ClusterDeadLettersOptions {
  engine: Engine;
  keys: Keys;
  journal: Journal;
  events: Events;
  /** Where a message is accounted for. */
  holdingOf: (queue: QueueId, slice: Slice) => Holding | undefined;
  maxPerPool: number;
  publish: (topic: string, payload: Buffer) => void;
}

export class ClusterDeadLetters implements DeadLetterBook {
  readonly #options: ClusterDeadLettersOptions;
  /** As the engine has said last. */
  readonly #counts = new Map<string, number>();

  constructor(options: ClusterDeadLettersOptions) {
    this.#options = options;
  }

  recover(recovered: readonly RecoveredQueue[]): RecoveredQueue[] {
    return [...recovered];
  }

  count(pool: string): number {
    return this.#counts.get(pool) ?? 0;
  }

  /** Asks how many there are of each pool. @throws EquipoiseError */
  async refresh(pools: Iterable<string>): Promise<void> {
    const { engine, keys } = this.#options;
    for (const pool of pools) this.#counts.set(pool, (await engine.ask("XLEN", keys.dead(pool))) as number);
  }

  bury(pool: string, filter: string, delivery: Delivery, done: (error: Error | undefined) => void): void {
    const letter = letterOf(pool, filter, delivery);
    const { queue } = delivery.backlog;
    const holding = queue === undefined ? undefined : this.#options.holdingOf(queue, delivery.slice);
    this.#keep(letter, holding).then(() => done(undefined), done);
  }

  /** @throws EquipoiseError EQ_SHARD_LOST when it is another broker's to bury */
  async #keep(letter: DeadLetter, holding: Holding | undefined): Promise<void> {
    const { engine, keys, events, maxPerPool, publish } = this.#options;
    const { pool, topic, attempts, reason } = letter;
    const payload = encodeLetter(letter);
    const stream = keys.dead(pool);
    const { key = stream, shard = 0, mark = "" } = holding?.fence ?? {};
    const args = [payload, maxPerPool, shard, mark];
    const dropped = (await engine.run("bury", [stream, key], args)) as number;
    if (dropped < 0) {
      holding?.refused(1);
      throw new EquipoiseError("EQ_SHARD_LOST", `a dead letter of pool ${pool}`);
    }
    this.#counts.set(pool, this.count(pool) + 1 - dropped);
    if (dropped > 0) events.emit({ event: "dead.dropped", pool, maxDeadLetters: maxPerPool });
    events.emit({ event: "delivery.dead", pool, topic, attempts, reason });
    publish(topics.dead(pool, topic), payload);
  }

  async list(pool: string, limit: number): Promise<DeadLetter[]> {
    return (await this.#read(pool, limit)).map(({ letter }) => letter);
  }

  async #read(pool: string, limit: number): Promise<{ id: Buffer; letter: DeadLetter }[]> {
    const { engine, keys } = this.#options;
    const entries = (await engine.ask("XRANGE", keys.dead(pool), "-", "+", "COUNT", limit)) as Entries;
    return entries.map(([id, [, letter]]) => ({ id, letter: JSON.parse(letter.toString("utf8")) }));
  }

  async replay(pool: string, backlogOf: (filter: string) => Backlog | undefined): Promise<number> {
    const { engine, keys, maxPerPool } = this.#options;
    let replayed = 0;
    for (const { id, letter } of await this.#read(pool, maxPerPool)) {
      const queue = backlogOf(letter.filter)?.queue;
      if (queue === undefined) continue;
      await this.#putBack(letter, queue);
      await engine.ask("XDEL", keys.dead(pool), id);
      replayed++;
    }
    await this.refresh([pool]);
    return replayed;
  }

  #putBack(letter: DeadLetter, queue: number): Promise<void> {
    const { journal } = this.#options;
    const { chunk, slice } = single(journal, frameOf(letter));
    return new Promise((resolve, reject) => {
      journal.append(chunk, [{ queue, slice }], (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  async purge(pool: string): Promise<number> {
    const { engine, keys } = this.#options;
    const count = (await engine.ask("XLEN", keys.dead(pool))) as number;
    await engine.ask("DEL", keys.dead(pool));
    this.#counts.delete(pool);
    return count;
  }
}
