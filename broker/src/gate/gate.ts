/** The gate: every connection and the aedes behind them. See docs/decisions/0001-gate.md for the cut. */
import type { Socket } from "node:net";
import { type Clock, EquipoiseError, parseFilter, reasonOf } from "@equipoise/shared";
import { Aedes, type AuthenticateError, type Client, type Subscription } from "aedes";
import type { Authoriser } from "../auth/authoriser.ts";
import type { Events } from "../events.ts";
import type { Ingress } from "../ingress/ingress.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Turn } from "../turn.ts";
import { Connection, type ConnectionLimits, type ConnectionSurroundings } from "./connection.ts";
import { ControlChannel } from "./control.ts";
import type { Output } from "./output.ts";
import { type ControlPacket, createEmitter, createPersistence } from "./plane.ts";

export interface GateLimits extends ConnectionLimits {
  maxConnections: number;
}

export interface GateOptions {
  brokerId: string;
  limits: GateLimits;
  turn: Turn;
  ingress: Ingress;
  sessions: Sessions;
  authoriser: Authoriser;
  events: Events;
  clock: Clock;
}

const timeCheckPeriodMs = 250;
/** Aedes speaks to other brokers at this pace; there are none that it knows of. */
const aedesHeartbeatMs = 3_600_000;
const refused = 5;

export class Gate {
  readonly #options: GateOptions;
  readonly #aedes: Aedes;
  readonly #connections = new Set<Connection>();
  readonly #dirty: Output[] = [];
  readonly #around: ConnectionSurroundings;
  #cancelTimeCheck: (() => void) | undefined;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#aedes = this.#createAedes();
    const { limits, turn, ingress, sessions, authoriser, events } = options;
    this.#around = {
      limits,
      turn,
      ingress,
      sessions,
      authoriser,
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
    this.#cancelTimeCheck = clock.every(timeCheckPeriodMs, () => {
      turn.begin();
      for (const connection of this.#connections) connection.checkTime(turn.nowMs);
      sessions.removeExpired();
    });
  }

  /** Takes a new connection; over the bound it is closed at once. */
  accept(socket: Socket): void {
    const { limits, events } = this.#options;
    if (this.#connections.size >= limits.maxConnections) {
      const address = `${socket.remoteAddress}:${socket.remotePort}`;
      events.emit({
        event: "connection.refused",
        address,
        reason: `maxConnections is ${limits.maxConnections}`,
      });
      socket.on("error", () => {});
      socket.destroy();
      return;
    }
    this.#connections.add(new Connection(socket, this.#around));
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
    const { brokerId, limits } = this.#options;
    const aedes = new Aedes({
      id: brokerId,
      mq: createEmitter((packet) => this.#publish(packet)) as never,
      persistence: createPersistence() as never,
      heartbeatInterval: aedesHeartbeatMs,
      connectTimeout: limits.connectTimeoutMs,
      maxClientsIdLength: 23,
      authenticate: (client, username, password, done) =>
        this.#authenticate(client, username, password, done),
      authorizePublish: (client, packet, done) => {
        const { topic } = packet;
        const allowed = this.#mayPublishWill(client?.id ?? "", topic);
        done(allowed ? null : new Error(`not authorised to publish to ${topic}`));
      },
      authorizeSubscribe: (client, subscription, done) => done(null, this.#granted(client, subscription)),
    });
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
    const refusal = this.#options.authoriser.refusal(client.id, username, password as Buffer | undefined);
    if (refusal === undefined) return done(null, true);
    connectionOf(client)?.noteRefusal(refusal);
    done(Object.assign(new Error(refusal), { returnCode: refused }) as AuthenticateError, null);
  }

  #mayPublishWill(clientId: string, topic: string): boolean {
    const { meaning, fault } = this.#options.ingress.topic(topic);
    return fault === undefined && this.#options.authoriser.mayPublish(clientId, topic, meaning);
  }

  /** The subscription, or null to answer 0x80. */
  #granted(client: Client, subscription: Subscription): Subscription | null {
    const refusal = this.#subscriptionRefusal(client.id, subscription.topic);
    if (refusal === undefined) return subscription;
    const { id: clientId } = client;
    this.#options.events.emit({
      event: "subscription.refused",
      clientId,
      filter: subscription.topic,
      reason: refusal,
    });
    return null;
  }

  #subscriptionRefusal(clientId: string, text: string): string | undefined {
    try {
      const { pool, filter } = parseFilter(text);
      if (!this.#options.authoriser.maySubscribe(clientId, filter)) return "not authorised";
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
    this.#options.ingress.publishOwn(topic, bytes ?? Buffer.alloc(0), { qos: qos === 0 ? 0 : 1, retain });
  }
}

function connectionOf(client: Client): Connection | undefined {
  const channel: unknown = client.conn;
  return channel instanceof ControlChannel ? (channel.owner as Connection) : undefined;
}
