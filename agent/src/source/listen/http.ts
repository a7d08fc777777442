/**
 * Normalised trades by HTTP: POST one JSON object or an array of them. Either all are accepted (202, with the count),
 * or the answer (400) says which are wrong and why, and none is. While the sink is full the answer is 503.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type Clock, EquipoiseError, type Logger, reasonOf, type VenueTrade } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Intake } from "../intake.ts";
import type { Source, SourceStatus, TickSink } from "../source.ts";
import type { ListenSpec } from "../spec.ts";
import { attempted, type Fault, readBatch } from "./batch.ts";
import { readBody } from "./body.ts";
import { listening, sayAddress } from "./listening.ts";

const maxBodyBytes = 4 * 2 ** 20;
const maxConnections = 64;
const requestTimeoutMs = 10_000;
const retryAfterSeconds = "1";
/** Of one answer. */
const maxFaults = 100;

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: object;
}

export class HttpSource implements Source {
  readonly #spec: ListenSpec;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #intake: Intake;
  readonly #server: Server;
  readonly #course = new Course();
  #sink: TickSink | undefined;
  #full = false;

  constructor(spec: ListenSpec, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#logger = logger;
    this.#intake = new Intake(spec.text, logger, "record");
    const settings = { requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs };
    this.#server = createServer(settings, (request, response) => {
      this.#respond(request, response).catch(this.#course.fail);
    });
    this.#server.maxConnections = maxConnections;
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    return { spec: this.#spec.text, state: this.#course.state, ticks, skipped, gaps, done: null };
  }

  async open(): Promise<void> {
    const { host, port } = this.#spec;
    await listening(this.#server, this.#spec, (ready) => this.#server.listen(port, host, ready));
    sayAddress(this.#logger, this.#spec, this.#server.address());
  }

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    await this.#course.run(() => {
      this.#sink = undefined;
      this.#server.close();
      this.#server.closeAllConnections();
      this.#intake.end();
    });
  }

  stop(): void {
    this.#server.close();
    this.#course.end();
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((error: unknown) => {
      if (request.errored === null) throw error;
      return undefined; // the client broke off: there is nobody to answer
    });
    if (answer === undefined) return;
    const { status, headers, body } = answer;
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(`${JSON.stringify(body)}\n`);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    // Browsers name the page that a request comes from. Any page could otherwise publish trades.
    if (request.headers.origin !== undefined) return failure(403, "not for web pages", {});
    if (request.method !== "POST") return failure(405, "POST trades", { Allow: "POST" });
    const busy = this.#busy();
    if (busy !== undefined) return busy;
    const body = await readBody(request, maxBodyBytes);
    if (body === undefined) return failure(413, `at most ${maxBodyBytes} bytes`, { Connection: "close" });
    // Another request may have filled the sink meanwhile.
    return this.#busy() ?? this.#accept(body);
  }

  #busy(): Answer | undefined {
    if (this.#sink !== undefined && !this.#full) return undefined;
    const reason = this.#full ? "the buffer is full" : "the agent is starting or stopping";
    return failure(503, reason, { "Retry-After": retryAfterSeconds });
  }

  #accept(body: string): Answer {
    const { trades, faults } = readBatch(body, Math.round(this.#clock.wallMs() * 1000));
    if (faults.length > 0) return this.#refusal(0, faults);
    for (const [index, trade] of trades.entries()) {
      const refused = this.#put(trade);
      if (refused !== undefined) faults.push({ index, reason: reasonOf(refused) });
    }
    if (faults.length > 0) return this.#refusal(trades.length - faults.length, faults);
    return { status: 202, body: { accepted: trades.length } };
  }

  /** What is well formed may still be refused, when its stream cannot exist. */
  #put(trade: VenueTrade): EquipoiseError | undefined {
    const sink = this.#sink as TickSink;
    const more = attempted(() => sink.put(trade));
    if (more instanceof EquipoiseError) return more;
    this.#intake.ticks += 1;
    if (!more && !this.#full) this.#wait(sink);
    return undefined;
  }

  #refusal(accepted: number, faults: readonly Fault[]): Answer {
    for (const { reason } of faults) this.#intake.skip(reason);
    return { status: 400, body: { accepted, refused: faults.length, faults: faults.slice(0, maxFaults) } };
  }

  #wait(sink: TickSink): void {
    this.#full = true;
    sink.room().then(() => {
      this.#full = false;
    }, this.#course.fail);
  }
}

function failure(status: number, error: string, headers: Record<string, string>): Answer {
  return { status, headers, body: { error } };
}
