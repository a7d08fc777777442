/** What all brokers of a cluster know of each other's clients: sessions, subscriptions, retained messages, wills, tunings. */
import type { Clock } from "@equipoise/shared";
import type { Committed, QueueId } from "../journal/journal.ts";
import type { Tuning } from "../pool/contract.ts";
import type { Router } from "../router/router.ts";
import { Clients, type SessionBook } from "./clients.ts";
import type { Engine } from "./engine.ts";
import { Epoch } from "./epoch.ts";
import type { Keys } from "./keys.ts";
import { Notes } from "./notes.ts";
import { Relays } from "./relays.ts";
import { Tunings } from "./tunings.ts";
import { Wills } from "./wills.ts";

/** How the broker takes part. Its stages are made later than the cluster. */
export interface Participant {
  sessions: () => SessionBook;
  router: () => Router;
  /** A retained message has changed, on any broker. */
  onRetained: (topic: string, frame: Buffer | undefined) => void;
  /** Clients of a broker that has died have left wills, as PUBLISH frames: calls back when they are stored. */
  onWills: (frames: readonly Buffer[], stored: Committed) => void;
  /** A pool was tuned on another broker. */
  onTuned: (pool: string, tuning: Tuning) => void;
  /** Uniform in [0, 1). */
  random: () => number;
}

export interface KnowledgeOptions {
  engine: Engine;
  keys: Keys;
  clock: Clock;
  consumer: string;
  participant: Participant;
  nextQueueId: () => QueueId;
  /** Waits until all that was asked of the engine before is as safe as it is promised to be. */
  replicated: () => Promise<void>;
  onFailed: (error: unknown) => void;
}

export class Knowledge {
  readonly relays: Relays;
  readonly notes: Notes;
  readonly clients: Clients;
  readonly wills: Wills;
  readonly tunings: Tunings;
  readonly #options: KnowledgeOptions;
  readonly #epoch: Epoch;
  /** Topics of retained messages that the engine has, as far as was heard. */
  #retained = new Set<string>();

  constructor(options: KnowledgeOptions) {
    this.#options = options;
    const { engine, keys, clock, consumer, participant, nextQueueId, replicated, onFailed } = options;
    const { sessions: book, router, onWills: publish, onTuned: apply, random } = participant;
    this.relays = new Relays({ engine, keys, clock, router, consumer, nextQueueId, onFailed });
    this.notes = new Notes({ engine, keys, consumer, replicated, onFailed });
    this.#epoch = new Epoch(engine, keys, consumer);
    this.clients = new Clients({ engine, keys, consumer, book, onFailed });
    this.wills = new Wills({ engine, keys, consumer, publish, onFailed });
    this.tunings = new Tunings({ engine, keys, random, apply, onFailed });
  }

  /** Asks for all that there is. @throws EquipoiseError EQ_ENGINE_AWAY */
  async learn(): Promise<void> {
    await this.#learnRetained();
    await this.tunings.learn();
    if (await this.#epoch.changed()) await this.clients.restore();
    await this.clients.load();
    await this.relays.hearAll();
  }

  async #learnRetained(): Promise<void> {
    const { engine, keys, participant } = this.#options;
    const flat = (await engine.ask("HGETALL", keys.retained)) as Buffer[];
    const before = this.#retained;
    this.#retained = new Set();
    for (let at = 0; at < flat.length; at += 2) this.hearRetained(String(flat[at]), flat[at + 1]);
    // Forgotten while this broker did not hear.
    for (const topic of before) if (!this.#retained.has(topic)) participant.onRetained(topic, undefined);
  }

  /** A retained message has changed, on any broker. */
  hearRetained(topic: string, frame: Buffer | undefined): void {
    if (frame === undefined) this.#retained.delete(topic);
    else this.#retained.add(topic);
    this.#options.participant.onRetained(topic, frame);
  }

  /** Says again what is true of this broker as long as it lives. */
  tell(): void {
    void this.relays.tell();
    void this.wills.tell();
    void this.clients.confirm(this.#options.participant.sessions().connected());
  }

  /** Takes a line of the cluster's news, if it is about clients or pools. */
  hear(what: string, rest: string): void {
    if (what === "tuned") void this.tunings.hear(rest);
    else if (what === "interest") void this.relays.hear(rest);
    else this.clients.hear(what, rest);
  }
}
