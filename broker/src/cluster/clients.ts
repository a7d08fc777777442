/** Sessions that outlive their connection, the same on all brokers, and which broker each client is connected to. */
import { EquipoiseError } from "@equipoise/shared";
import type { KeptSession } from "../journal/journal.ts";
import type { Owned } from "../session/neighbours.ts";
import type { Engine } from "./engine.ts";
import type { Keys } from "./keys.ts";

/** Clients that one question is about. */
const maxConfirmed = 500;
const maxRestored = 500;

/** How other brokers' clients reach this broker's sessions. */
export interface SessionBook {
  /** A session as another broker has left it. @param elsewhere its client is connected there */
  adopt(kept: KeptSession, elsewhere: boolean): void;
  /** The session has ended on another broker. */
  forget(clientId: string): void;
  /** The client has connected to another broker. */
  takenOver(clientId: string): void;
  /** The client of a session that is known here has gone from the broker where it was. */
  left(clientId: string): void;
  /** Clients that are connected here. */
  connected(): Iterable<string>;
  /** Sessions that are known here and outlive their connection. */
  kept(): Iterable<KeptSession>;
}

export interface ClientsOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  book: () => SessionBook;
  onFailed: (error: unknown) => void;
}

export class Clients {
  readonly #options: ClientsOptions;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** @throws EquipoiseError EQ_ENGINE_AWAY: whether the client has a session is not known */
  async own(clientId: string, clean: boolean): Promise<Owned> {
    const { engine, keys, consumer } = this.#options;
    const reply = await engine.run("own", [keys.prefix], [consumer, clientId, clean ? "1" : "0"]);
    const [moved, kept] = reply as [number, Buffer | null];
    return { moved: moved === 1, kept: kept === null ? undefined : sessionOf(clientId, kept) };
  }

  disown(clientId: string, clean: boolean): void {
    const { engine, keys, consumer, onFailed } = this.#options;
    if (engine.here) {
      engine.run("disown", [keys.prefix], [consumer, clientId, clean ? "1" : "0"]).catch(onFailed);
    }
  }

  /** All sessions as the engine has them. @throws EquipoiseError EQ_ENGINE_AWAY */
  async load(): Promise<void> {
    const { engine, keys, consumer, book } = this.#options;
    const [kept, owners] = (await Promise.all([
      engine.ask("HGETALL", keys.sessions),
      engine.ask("HGETALL", keys.owners),
    ])) as [Buffer[], Buffer[]];
    const owner = new Map(pairsOf(owners).map(([clientId, broker]) => [clientId, String(broker)]));
    const known = new Set<string>();
    for (const [clientId, subscriptions] of pairsOf(kept)) {
      known.add(clientId);
      const at = owner.get(clientId);
      book().adopt(sessionOf(clientId, subscriptions), at !== undefined && at !== consumer);
    }
    await this.#judgeUnknown(owner, known);
    this.#disownGone(owner, known);
  }

  /** A session that the engine does not know has ended elsewhere, unless its client is connected here. */
  async #judgeUnknown(owner: ReadonlyMap<string, string>, known: ReadonlySet<string>): Promise<void> {
    const { book, consumer } = this.#options;
    const connected = new Set(book().connected());
    const lost: KeptSession[] = [];
    for (const session of book().kept()) {
      const { clientId } = session;
      if (known.has(clientId)) continue;
      if (!connected.has(clientId)) book().forget(clientId);
      else if ((owner.get(clientId) ?? consumer) === consumer) lost.push(session);
    }
    await this.#restore(lost);
  }

  /** The engine has been emptied: tells it the sessions that are known here. @throws EquipoiseError EQ_ENGINE_AWAY */
  restore(): Promise<void> {
    return this.#restore([...this.#options.book().kept()]);
  }

  async #restore(sessions: readonly KeptSession[]): Promise<void> {
    const { engine, keys } = this.#options;
    for (let at = 0; at < sessions.length; at += maxRestored) {
      const some = sessions.slice(at, at + maxRestored);
      const args = some.flatMap(({ clientId, subscriptions }) => [clientId, JSON.stringify(subscriptions)]);
      await engine.run("restore", [keys.prefix], args);
    }
  }

  /** Clients whose connection has ended here while the engine was away. */
  #disownGone(owner: ReadonlyMap<string, string>, kept: ReadonlySet<string>): void {
    const connected = new Set(this.#options.book().connected());
    for (const [clientId, at] of owner)
      if (at === this.#options.consumer && !connected.has(clientId))
        this.disown(clientId, !kept.has(clientId));
  }

  /**
   * Says that clients are connected here. Those that have connected to another broker, which was not heard of, go from
   * here.
   */
  async confirm(clientIds: Iterable<string>): Promise<void> {
    const { engine, keys, consumer, book, onFailed } = this.#options;
    const all = [...clientIds];
    try {
      for (let at = 0; at < all.length && engine.here; at += maxConfirmed) {
        const some = all.slice(at, at + maxConfirmed);
        const elsewhere = await engine.run("confirm", [keys.prefix], [consumer, ...some]);
        for (const clientId of elsewhere as Buffer[]) book().takenOver(String(clientId));
      }
    } catch (error) {
      onFailed(error);
    }
  }

  /** Takes a line of the cluster's news, if it is about clients. */
  hear(what: string, rest: string): void {
    if (what === "session") return void this.#adopt(rest);
    if (what === "left") return this.#options.book().left(rest);
    if (what !== "owned") return;
    const space = rest.indexOf(" ");
    if (rest.slice(0, space) !== this.#options.consumer)
      this.#options.book().takenOver(rest.slice(space + 1));
  }

  async #adopt(clientId: string): Promise<void> {
    const { engine, keys, consumer, book, onFailed } = this.#options;
    try {
      const [kept, owner] = await Promise.all([
        engine.ask("HGET", keys.sessions, clientId),
        engine.ask("HGET", keys.owners, clientId),
      ]);
      if (kept === null) book().forget(clientId);
      else
        book().adopt(
          sessionOf(clientId, kept as Buffer),
          owner !== null && String(owner as Buffer) !== consumer,
        );
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      onFailed(error);
    }
  }
}

function sessionOf(clientId: string, subscriptions: Buffer): KeptSession {
  return { clientId, subscriptions: JSON.parse(subscriptions.toString("utf8")) };
}

function pairsOf(flat: readonly Buffer[]): [string, Buffer][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [
    String(flat[2 * at]),
    flat[2 * at + 1] as Buffer,
  ]);
}
