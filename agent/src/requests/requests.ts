/**
 * Answers what applications ask this agent over MQTT. Everything is bounded: few requests at once, a short queue, a
 * rate, pieces of an answer one after the other, each after the PUBACK of the last.
 */
import {
  type Clock,
  EquipoiseError,
  type Logger,
  limits,
  parseTopic,
  topicFault,
  topics,
} from "@equipoise/shared";
import * as z from "zod";
import { Allowance } from "./allowance.ts";
import { Answer, answerWith } from "./answer.ts";
import type { Channel } from "./channel.ts";
import type { Method } from "./method.ts";

export interface RequestsOptions {
  agentId: string;
  channel: Channel;
  /** Those that are answered. */
  methods: ReadonlyMap<string, Method>;
  /** Requests per second, and as many at once. */
  maxPerSecond: number;
  clock: Clock;
  logger: Logger;
  /** A bug has shown itself. */
  failed: (error: unknown) => void;
}

interface Request {
  method: string;
  requestId: string;
  replyTo: string;
  body: unknown;
  /** Monotonic. */
  askedMs: number;
}

const maxRunning = 4;
const maxQueued = 64;
/** Whoever asked has given up by then, and work for nobody would keep the others waiting. */
const maxWaitMs = 5_000;
const maxRefusals = 16;
const maxRequestBytes = 65_536;

/** Elsewhere an agent may not write, so a reply would cost it its connection. */
const envelope = z.object({
  requestId: z.string().min(1).max(limits.maxIdLength),
  replyTo: z
    .string()
    .refine(
      (topic) => topic.startsWith("replies/") && topicFault(topic) === undefined,
      "must begin with replies/",
    ),
});

export class Requests {
  readonly #options: RequestsOptions;
  readonly #allowance: Allowance;
  readonly #queue: Request[] = [];
  readonly #running = new Set<Promise<void>>();
  #refusals = 0;
  #stopped = false;
  #answered = 0;
  #refused = 0;

  constructor(options: RequestsOptions) {
    const { maxPerSecond, clock } = options;
    this.#options = options;
    this.#allowance = new Allowance(maxPerSecond, maxPerSecond, clock);
  }

  /** Without a method nothing is subscribed: there are brokers that close the connection over that. */
  start(): void {
    const { channel, agentId, methods } = this.#options;
    if (methods.size === 0) return;
    channel.subscribe(topics.request(agentId), (topic, payload) => this.#take(topic, payload));
  }

  stats(): { answered: number; refused: number } {
    return { answered: this.#answered, refused: this.#refused };
  }

  /** Answers nothing new. */
  close(): void {
    this.#stopped = true;
    this.#queue.length = 0;
  }

  /** Resolves when no answer is on its way; without a connection that is soon. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #take(topic: string, payload: Buffer): void {
    const meaning = parseTopic(topic);
    if (this.#stopped || meaning.kind !== "request" || meaning.agentId !== this.#options.agentId) return;
    const request = readRequest(meaning.method, payload, this.#options.clock.monotonicMs());
    if (typeof request === "string") return this.#drop(meaning.method, request);
    if (!this.#allowance.take()) return this.#refuse(request, "too many requests in a second");
    if (this.#running.size < maxRunning) return this.#run(request);
    if (this.#queue.length >= maxQueued) return this.#refuse(request, "too many requests at once");
    this.#queue.push(request);
  }

  /** Without an address nobody can be told. */
  #drop(method: string, reason: string): void {
    this.#refused += 1;
    this.#options.logger.debug({ event: "requestDropped", method, reason }, "a request was dropped");
  }

  #refuse(request: Request, reason: string): void {
    if (this.#refusals >= maxRefusals) return this.#drop(request.method, reason);
    this.#refused += 1;
    this.#refusals += 1;
    const error = new EquipoiseError("EQ_LIMIT_REACHED", reason);
    this.#track(this.#answerTo(request).fail(error), () => {
      this.#refusals -= 1;
    });
  }

  #run(request: Request): void {
    this.#answered += 1;
    const answering = this.#track(this.#answer(request), () => {
      this.#running.delete(answering);
      this.#runNext();
    });
    this.#running.add(answering);
  }

  #runNext(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (nowMs - next.askedMs <= maxWaitMs) return this.#run(next);
      this.#refuse(next, "the request has waited too long");
    }
  }

  async #answer(request: Request): Promise<void> {
    const method = this.#options.methods.get(request.method);
    const answer = this.#answerTo(request);
    if (method !== undefined) return await answerWith(answer, method(request.body));
    const known = [...this.#options.methods.keys()].join(", ");
    await answer.fail(
      new EquipoiseError("EQ_REQUEST_INVALID", `there is no ${request.method} here, only ${known}`),
    );
  }

  #answerTo({ requestId, replyTo }: Request): Answer {
    const { agentId: agent, channel } = this.#options;
    return new Answer({ agent, requestId, send: (payload) => channel.send(replyTo, payload) });
  }

  #track(work: Promise<void>, done: () => void): Promise<void> {
    const { logger, failed } = this.#options;
    return work
      .catch((error: unknown) => {
        // Whoever asked has lost the connection with us, and asks again.
        if (!(error instanceof EquipoiseError)) failed(error);
        else logger.debug({ event: "answerLost", code: error.code }, error.line);
      })
      .finally(done);
  }
}

/** The request, or why it is none. */
function readRequest(method: string, payload: Buffer, askedMs: number): Request | string {
  if (payload.length > maxRequestBytes) return `longer than ${maxRequestBytes} bytes`;
  try {
    const body: unknown = JSON.parse(payload.toString("utf8"));
    const result = envelope.safeParse(body);
    return result.success ? { method, ...result.data, body, askedMs } : z.prettifyError(result.error);
  } catch {
    return "not JSON";
  }
}
