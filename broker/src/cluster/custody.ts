/**
 * What this broker holds of the cluster's queues when it comes to be another one's, or may have become so: given back,
 * lost to those who took this broker for dead, moved with a client, or given to it without its knowing.
 */
import type { Clock } from "@equipoise/shared";
import type { QueueId } from "../journal/journal.ts";
import type { Engine } from "./engine.ts";
import type { Feeder } from "./feeder.ts";
import type { Keys } from "./keys.ts";
import type { SharedQueue } from "./queue.ts";
import type { Registry } from "./registry.ts";
import type { Settler } from "./settler.ts";

const auditDelayMs = 500;

export interface CustodyOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  clock: Clock;
  registry: Registry;
  settler: Settler;
  feeder: Feeder;
  /** Hears again what other brokers have said. @throws EquipoiseError EQ_ENGINE_AWAY */
  learn: () => Promise<void>;
  onFailed: (error: unknown) => void;
}

export class Custody {
  readonly #options: CustodyOptions;
  #cancelAudit = (): void => {};

  constructor(options: CustodyOptions) {
    this.#options = options;
  }

  /** The engine is back: what was released or came meanwhile was not heard of. */
  resume(): void {
    const { registry } = this.#options;
    for (const queue of registry.all()) {
      queue.released = true;
      queue.call();
      void registry.open(queue);
    }
    // What was asked over the broken connection may arrive behind what is asked over the new one.
    this.#auditLater();
  }

  /** Something has come into a queue that this broker waits for. */
  called(name: string): void {
    const queue = this.#options.registry.named(name);
    if (queue === undefined) return;
    queue.call();
    this.#options.feeder.ask(queue);
  }

  /** Another broker has left entries of a queue. */
  released(name: string): void {
    const queue = this.#options.registry.named(name);
    if (queue !== undefined) this.#askReleased(queue);
  }

  #askReleased(queue: SharedQueue): void {
    queue.released = true;
    this.#options.feeder.ask(queue);
  }

  /** What this broker holds of a session's queue is another broker's: the client has connected there. */
  giveUp(id: QueueId): void {
    const queue = this.#options.registry.get(id);
    if (queue === undefined) return;
    queue.lose();
    this.#askReleased(queue);
  }

  /** Others have taken this broker for dead, and have what it held. */
  loseAll(): void {
    for (const queue of this.#options.registry.all()) {
      queue.lose();
      this.#askReleased(queue);
    }
    // What is on its way to it was given before or after the loss, which cannot be told apart here.
    this.#auditLater();
  }

  /** Nobody here takes from the queue any more: others may have what waits here for it. */
  async giveBack(queue: SharedQueue): Promise<void> {
    const { engine, keys, consumer, settler, feeder, onFailed } = this.#options;
    await settler.flush(true);
    try {
      await engine.run("giveBack", [queue.stream], [consumer, keys.news, queue.name]);
      queue.lose();
      // What came meanwhile, because the queue was watched still, was lost with the rest.
      await feeder.audit(queue);
    } catch (error) {
      onFailed(error);
    }
  }

  #auditLater(): void {
    this.#cancelAudit();
    this.#cancelAudit = this.#options.clock.after(auditDelayMs, () => void this.#audit());
  }

  async #audit(): Promise<void> {
    const { engine, registry, feeder, learn, onFailed } = this.#options;
    if (!engine.here) return;
    // News may have come before this broker listened again.
    await learn().catch(onFailed);
    for (const queue of registry.all()) await feeder.audit(queue);
  }

  stop(): void {
    this.#cancelAudit();
  }
}
