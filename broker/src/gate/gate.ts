/** The gate: every connection and the aedes behind them. See docs/decisions/0001-gate.md for the cut. */
import { type Clock, EquipoiseError, parseFilter, reasonOf, limits as shared } from "@equipoise/shared";
import { Aedes, type AuthenticateError, type Client, type Subscription } from "aedes";
import type { Authoriser } from "../auth/authoriser.ts";
import type { Events } from "../events.ts";
import type { Ingress } from "../ingress/ingress.ts";
import { encodePublish } from "../journal/chunk.ts";
import type { Arrival } from "../listener/listener.ts";
import { everyUnlessLate } from "../punctual.ts";
import { matches } from "../router/match.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Turn } from "../turn.ts";
import { guardClientBook } from "./client-book.ts";
import { Connection, type ConnectionLimits, type ConnectionSurroundings } from "./connection.ts";
import { ControlChannel } from "./control.ts";
import { Dialogue } from "./dialogue.ts";
import type { Output } from "./output.ts";
import { type ControlPacket, createEmitter, createPersistence } from "./plane.ts";
import type { Rights } from "./rights.ts";

export interface GateOptions {
  brokerId: string;
  limits: ConnectionLimits;
  turn: Turn;
  ingress: Ingress;
  sessions: Sessions;
  authoriser: Authoriser;
  events: Events;
  clock: Clock;
}

const timeCheckPeriodMs = 100;
/** Aedes speaks to other brokers at this pace; there are none that it knows of. */
const aedesHeartbeatMs = 3_600_000;
/** Longest timer that there is: when a client must connect is the gate's matter. */
const neverMs = 2 ** 31 - 1;
const unavailable = 3;
const refused = 5;

export class Gate {
  readonly #options: GateOptions;
  readonly #aedes: Aedes;
  readonly #connections = new Set<Connection>();
  readonly #dirty: Output[] = [];
  readonly #wills = new WeakMap<Client, ControlPacket>();
  readonly #around: ConnectionSurroundings;
  #cancelTimeCheck: (() => void) | undefined;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#aedes = this.#createAedes();
    const { limits, turn, ingress, sessions, events } = options;
    this.#around = {
      limits,
      turn,
      ingress,
      sessions,
      events,
      handle: (channel) => this.#aedes.handle(channel, undefined as never),
      onDirty: (output) => this.#onDirty(output),
      onClosed: (connection) => this.#connections.delete(connection),
    };
    turn.addStep(() => this.#flush());
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  async start(): Promise<void> {
    await this.#aedes.listen();
    const { clock, turn, sessions } = this.#options;
    this.#cancelTimeCheck = everyUnlessLate(clock, timeCheckPeriodMs, () => {
      turn.begin();
      for (const connection of this.#connections) connection.checkTime(turn.nowMs);
      sessions.removeExpired();
    });
  }

  accept(arrival: Arrival): void {
    this.#connections.add(new Connection(arrival, this.#around));
  }

  /** Some client has a plain subscription that matches the topic. */
  isHeard(topic: string): boolean {
    for (const { session } of this.#connections)
      for (const filter of session?.subscriptions.keys() ?? []) if (matches(filter, topic)) return true;
    return false;
  }

  /** The users were read again. */
  reviewAccess(): void {
    for (const connection of [...this.#connections]) connection.reviewAccess();
  }

  /** Closes every connection. */
  async stop(): Promise<void> {
    this.#cancelTimeCheck?.();
    for (const connection of [...this.#connections]) connection.stop();
    await new Promise<void>((resolve) => this.#aedes.close(resolve));
  }

  #onDirty(output: Output): void {
    this.#dirty.push(output);
    this.#options.turn.request();
  }

  #flush(): void {
    for (const output of this.#dirty.splice(0)) output.flush();
  }

  #createAedes(): Aedes {
    const { brokerId } = this.#options;
    const aedes = new Aedes({
      id: brokerId,
      mq: createEmitter((packet) => this.#publish(packet)) as never,
      persistence: createPersistence() as never,
      heartbeatInterval: aedesHeartbeatMs,
      connectTimeout: neverMs,
      maxClientsIdLength: shared.maxIdLength,
      preConnect: (client, { will }, done) => {
        if (will !== undefined) this.#wills.set(client, will as ControlPacket);
        done(null, true);
      },
      authenticate: (client, username, password, done) =>
        this.#authenticate(client, username, password, done),
      authorizePublish: (client, packet, done) => {
        const { topic } = packet;
        const ended = client !== null && connectionOf(client)?.endedCleanly === true;
        const allowed =
          !ended && this.#mayPublishWill(client === null ? undefined : connectionOf(client)?.rights, topic);
        done(allowed ? null : new Error(`not authorised to publish to ${topic}`));
      },
      authorizeSubscribe: (client, subscription, done) => done(null, this.#granted(client, subscription)),
    });
    guardClientBook(aedes);
    aedes.on("clientReady", (client) => this.#keepWill(client));
    aedes.on("subscribe", (subscriptions, client) => this.#onSubscribe(subscriptions, client));
    aedes.on("unsubscribe", (filters, client) => this.#onUnsubscribe(filters, client));
    aedes.on("clientError", (client, error) => connectionOf(client)?.noteRefusal(error.message));
    aedes.on("connectionError", (client, error) => connectionOf(client)?.noteRefusal(error.message));
    return aedes;
  }

  #authenticate(
    client: Client,
    username: Readonly<string | undefined>,
    password: Readonly<Buffer | undefined>,
    done: (error: AuthenticateError | null, success: boolean | null) => void,
  ): void {
    this.#admit(client, username, password as Buffer | undefined).then(
      () => done(null, true),
      (error: unknown) => {
        const returnCode =
          error instanceof EquipoiseError && error.code === "EQ_NOT_AUTHORISED" ? refused : unavailable;
        connectionOf(client)?.noteRefusal(reasonOf(error));
        done(Object.assign(new Error(reasonOf(error)), { returnCode }) as AuthenticateError, null);
      },
    );
  }

  /** @throws EquipoiseError EQ_NOT_AUTHORISED, EQ_LIMIT_REACHED */
  async #admit(client: Client, userName: string | undefined, password: Buffer | undefined): Promise<void> {
    const connection = connectionOf(client);
    if (connection === undefined) return;
    const { remoteAddress: address, certifiedName } = connection;
    const credentials = { clientId: client.id, address, userName, password, certifiedName };
    const admission = await this.#options.authoriser.admit(credentials);
    if ("refusal" in admission) throw new EquipoiseError("EQ_NOT_AUTHORISED", admission.refusal);
    const will = this.#wills.get(client)?.topic;
    connection.rights.admit(admission.access);
    if (will !== undefined && !this.#mayPublishWill(connection.rights, will))
      throw new EquipoiseError("EQ_NOT_AUTHORISED", `a will for ${will}`);
    const { clean } = client as Client & { clean: boolean };
    const claimed = this.#options.sessions.claim(client.id, clean);
    if (claimed !== undefined) await claimed;
  }

  #keepWill(client: Client): void {
    const will = this.#wills.get(client);
    if (will === undefined || connectionOf(client)?.session === undefined) return;
    const { topic, payload, qos, retain } = will;
    this.#options.sessions.keepWill(client.id, encodePublish(topic, Buffer.from(payload), { qos, retain }));
  }

  #mayPublishWill(rights: Rights | undefined, name: string): boolean {
    const topic = this.#options.ingress.topic(name);
    return topic.fault === undefined && rights?.mayPublish(topic) === true;
  }

  /** The subscription, or null to answer 0x80. */
  #granted(client: Client, subscription: Subscription): Subscription | null {
    const refusal = this.#subscriptionRefusal(client, subscription.topic);
    if (refusal === undefined) return subscription;
    connectionOf(client)?.onRefused(subscription.topic, refusal);
    return null;
  }

  #subscriptionRefusal(client: Client, text: string): string | undefined {
    try {
      const { pool, filter } = parseFilter(text);
      if (connectionOf(client)?.rights.maySubscribe(filter) !== true) return "not authorised";
      return pool === undefined ? undefined : this.#options.sessions.poolRefusal(pool);
    } catch (error) {
      if (error instanceof EquipoiseError) return reasonOf(error);
      throw error;
    }
  }

  #onSubscribe(subscriptions: readonly Subscription[], client: Client): void {
    const session = connectionOf(client)?.session;
    if (session === undefined) return;
    for (const { topic, qos } of subscriptions) {
      if ((qos as number) <= 2) this.#options.sessions.subscribe(session, topic, qos);
    }
  }

  #onUnsubscribe(filters: readonly string[], client: Client): void {
    const session = connectionOf(client)?.session;
    if (session === undefined) return;
    for (const filter of filters) this.#options.sessions.unsubscribe(session, filter);
  }

  /** A will, or a $SYS message of aedes. */
  #publish({ topic, payload, qos, retain }: ControlPacket): void {
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    this.#options.ingress.publishOwn(topic, bytes ?? Buffer.alloc(0), { qos, retain });
  }
}

function connectionOf(client: Client): Connection | undefined {
  const channel: unknown = client.conn;
  if (!(channel instanceof ControlChannel) || !(channel.owner instanceof Dialogue)) return undefined;
  return channel.owner.owner as Connection;
}
