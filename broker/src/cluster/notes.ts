/**
 * Retained messages and sessions' subscriptions on their way into the engine, which tells the other brokers. Only the
 * last state of each counts; while the engine is away they wait. They are sent before the batch of the turn that they
 * came in, so its acknowledgements stand for them too.
 */
import { EquipoiseError } from "@equipoise/shared";
import type { Committed, KeptSession } from "../journal/journal.ts";
import type { Engine, Reply } from "./engine.ts";
import type { Keys } from "./keys.ts";

type Subscriptions = () => KeptSession["subscriptions"];

export interface NotesOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  /** Waits until all that was asked before is as safe as it is promised to be. */
  replicated: () => Promise<void>;
  onFailed: (error: unknown) => void;
}

export class Notes {
  readonly #engine: Engine;
  readonly #keys: Keys;
  readonly #consumer: string;
  readonly #replicated: () => Promise<void>;
  readonly #onFailed: (error: unknown) => void;
  #retained = new Map<string, Buffer | undefined>();
  #sessions = new Map<string, Subscriptions | undefined>();
  /** Who waits until everything is there. */
  #waiting: Committed[] = [];
  /** Sent, and not answered yet. */
  #underWay = 0;

  constructor(options: NotesOptions) {
    this.#engine = options.engine;
    this.#keys = options.keys;
    this.#consumer = options.consumer;
    this.#replicated = options.replicated;
    this.#onFailed = options.onFailed;
  }

  /** Something is not in the engine yet. */
  get pending(): boolean {
    return this.#underWay + this.#retained.size + this.#sessions.size > 0;
  }

  retain(topic: string, frame: Buffer | undefined): void {
    this.#retained.set(topic, frame);
    queueMicrotask(() => void this.send());
  }

  keepSession(clientId: string, subscriptions: Subscriptions | undefined): void {
    this.#sessions.set(clientId, subscriptions);
    queueMicrotask(() => void this.send());
  }

  flush(done: Committed): void {
    this.#waiting.push(done);
    void this.send();
  }

  async send(): Promise<void> {
    if (!this.#engine.here) return;
    const retained = this.#retained;
    const sessions = this.#sessions;
    const waiting = this.#waiting;
    if (retained.size + sessions.size + waiting.length === 0) return;
    this.#retained = new Map();
    this.#sessions = new Map();
    this.#waiting = [];
    this.#underWay++;
    try {
      await Promise.all([...this.#sendRetained(retained), ...this.#sendSessions(sessions)]);
      // Answered in order: what was sent before is there as well.
      if (waiting.length > 0) await this.#replicated();
      for (const done of waiting) done(undefined);
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      this.#takeBack(retained, sessions, waiting, error);
    } finally {
      this.#underWay--;
    }
  }

  *#sendRetained(retained: ReadonlyMap<string, Buffer | undefined>): Iterable<Promise<Reply>> {
    for (const [topic, frame] of retained) {
      const { retained: kept, retainedNews } = this.#keys;
      const args = [topic, encodeRetained(topic, frame), ...(frame === undefined ? [] : [frame])];
      yield this.#engine.run("retain", [kept, retainedNews], args);
    }
  }

  *#sendSessions(sessions: ReadonlyMap<string, Subscriptions | undefined>): Iterable<Promise<Reply>> {
    for (const [clientId, subscriptions] of sessions) {
      if (subscriptions === undefined) {
        yield this.#engine.run("end", [this.#keys.prefix], [this.#consumer, clientId]);
        continue;
      }
      yield this.#engine.ask("HSET", this.#keys.sessions, clientId, JSON.stringify(subscriptions()));
      yield this.#engine.ask("PUBLISH", this.#keys.news, `session ${clientId}`);
    }
  }

  #takeBack(
    retained: ReadonlyMap<string, Buffer | undefined>,
    sessions: ReadonlyMap<string, Subscriptions | undefined>,
    waiting: readonly Committed[],
    error: EquipoiseError,
  ): void {
    if (error.code !== "EQ_ENGINE_AWAY") {
      this.#onFailed(error);
      for (const done of waiting) done(error);
      return;
    }
    this.#retained = new Map([...retained, ...this.#retained]);
    this.#sessions = new Map([...sessions, ...this.#sessions]);
    this.#waiting = [...waiting, ...this.#waiting];
  }
}

/** Topic length (2) · topic · frame, which is absent for a message that was forgotten. */
function encodeRetained(topic: string, frame: Buffer | undefined): Buffer {
  const name = Buffer.from(topic);
  const head = Buffer.alloc(2);
  head.writeUInt16BE(name.length);
  return Buffer.concat([head, name, frame ?? Buffer.alloc(0)]);
}

export function decodeRetained(message: Buffer): { topic: string; frame: Buffer | undefined } {
  const end = 2 + message.readUInt16BE(0);
  const topic = message.toString("utf8", 2, end);
  return { topic, frame: end === message.length ? undefined : message.subarray(end) };
}
