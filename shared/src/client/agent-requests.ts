/**
 * Asks agents and gathers their answers, on a connection of its own: the consumer's may be held while its queue is full,
 * and then no answer would be read. It is made when it is needed and closed when nothing was asked for a while.
 */
import { randomUUID } from "node:crypto";
import mqtt, { type MqttClient } from "mqtt";
import { EquipoiseError, reasonOf } from "../errors.ts";
import { recordFault, type TickRecord } from "../tick.ts";
import { tlsNow } from "../tls.ts";
import { topics } from "../topics.ts";
import type { ConnectionOptions } from "./connection.ts";

export interface AgentAnswer {
  records: TickRecord[];
  /** The fields of the last part. */
  outcome: Readonly<Record<string, unknown>>;
}

interface Pending {
  answer: AgentAnswer;
  nextPart: number;
  resolve: (answer: AgentAnswer) => void;
  reject: (error: EquipoiseError) => void;
}

interface Part extends Readonly<Record<string, unknown>> {
  requestId: string;
  part: number;
  last: boolean;
  records?: unknown[];
  error?: { code: string; message: string };
}

const idleMs = 30_000;
const connectTimeoutMs = 5_000;
/** More than any agent sends; a larger answer is a broken one. */
const maxRecords = 20_000;

export class AgentRequests {
  readonly #options: ConnectionOptions;
  readonly #replyTo: string;
  readonly #pending = new Map<string, Pending>();
  #link: { url: string; client: Promise<MqttClient> } | undefined;
  #cancelIdle = (): void => {};
  #stopped = false;

  constructor(options: ConnectionOptions) {
    this.#options = { ...options, clientId: `${options.clientId}-requests` };
    this.#replyTo = topics.reply(this.#options.clientId, "requests");
  }

  /**
   * @param url the broker that the agent is connected to
   * @throws EquipoiseError EQ_LIMIT_REACHED when the agent has too many requests now; EQ_BROKER_UNREACHABLE when there
   * is no connection, or it is lost before the answer; else EQ_REQUEST_UNANSWERED with the reason
   */
  async ask(
    url: string,
    agentId: string,
    method: string,
    body: object,
    timeoutMs: number,
  ): Promise<AgentAnswer> {
    if (this.#stopped) throw unanswered(agentId, "whoever asks has stopped");
    const requestId = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<AgentAnswer>();
    this.#pending.set(requestId, { answer: { records: [], outcome: {} }, nextPart: 0, resolve, reject });
    const cancel = this.#options.clock.after(timeoutMs, () =>
      reject(unanswered(agentId, "no answer in time")),
    );
    this.#send(url, topics.request(agentId, method), { ...body, requestId, replyTo: this.#replyTo }).catch(
      (error: unknown) => reject(unreachable(agentId, reasonOf(error))),
    );
    try {
      return await promise;
    } finally {
      cancel();
      this.#pending.delete(requestId);
      this.#closeWhenIdle();
    }
  }

  /** Nothing is asked any more. */
  stop(): void {
    this.#stopped = true;
    this.#leave();
  }

  #leave(): void {
    this.#cancelIdle();
    const link = this.#link;
    this.#link = undefined;
    link?.client.then((client) => client.end(), ignoreReported);
  }

  async #send(url: string, topic: string, request: object): Promise<void> {
    this.#cancelIdle();
    if (this.#link?.url !== url) this.#leave();
    this.#link ??= { url, client: this.#connect(url) };
    const client = await this.#link.client;
    await client.publishAsync(topic, JSON.stringify(request), { qos: 1 });
  }

  async #connect(url: string): Promise<MqttClient> {
    const { clientId, username, password, tls, keepaliveS: keepalive } = this.#options;
    const fixed = { clientId, keepalive, reconnectPeriod: 0, connectTimeout: connectTimeoutMs };
    const credentials = {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
    try {
      const options = { ...fixed, ...credentials, ...tlsNow(tls) };
      const client = await mqtt.connectAsync(url, options, false);
      client.on("message", (_, payload) => this.#take(payload));
      client.on("error", () => client.end(true)); // its close follows
      client.once("close", () => this.#lost());
      await client.subscribeAsync(this.#replyTo, { qos: 1 });
      return client;
    } catch (error) {
      this.#link = undefined;
      throw error;
    }
  }

  #lost(): void {
    this.#link = undefined;
    for (const { reject } of this.#pending.values())
      reject(unreachable("the agent", "the connection was lost"));
  }

  #take(payload: Buffer): void {
    const part = readPart(payload);
    const pending = part && this.#pending.get(part.requestId);
    // A part that comes again, as QoS 1 allows, is behind the next one.
    if (part === undefined || pending === undefined || part.part < pending.nextPart) return;
    const { requestId: _, part: number, last, records = [], error, ...outcome } = part;
    const { answer, reject, resolve } = pending;
    if (error !== undefined) return reject(refused(String(part.agent), error));
    const bad = number > pending.nextPart || answer.records.length + records.length > maxRecords;
    if (bad || records.some((record) => recordFault(record) !== undefined)) {
      return reject(unanswered(String(part.agent), "the answer is broken"));
    }
    pending.nextPart += 1;
    answer.records.push(...(records as TickRecord[]));
    if (last) resolve({ records: answer.records, outcome });
  }

  #closeWhenIdle(): void {
    if (this.#pending.size > 0) return;
    this.#cancelIdle();
    this.#cancelIdle = this.#options.clock.after(idleMs, () => this.#leave());
  }
}

/** Whoever asked was told already. */
const ignoreReported = (): void => {};

function unanswered(agentId: string, reason: string): EquipoiseError {
  return new EquipoiseError("EQ_REQUEST_UNANSWERED", `${agentId}: ${reason}`);
}

function unreachable(agentId: string, reason: string): EquipoiseError {
  return new EquipoiseError("EQ_BROKER_UNREACHABLE", `${agentId}: ${reason}`);
}

function refused(agentId: string, { code, message }: NonNullable<Part["error"]>): EquipoiseError {
  if (code === "EQ_LIMIT_REACHED") return new EquipoiseError(code, `${agentId}: ${message}`);
  return unanswered(agentId, `${code}: ${message}`);
}

function readPart(payload: Buffer): Part | undefined {
  try {
    const part = JSON.parse(payload.toString("utf8")) as Partial<Part> | null;
    return typeof part?.requestId === "string" && typeof part.part === "number" ? (part as Part) : undefined;
  } catch {
    return undefined;
  }
}
