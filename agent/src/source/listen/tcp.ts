/**
 * Normalised trades, one JSON object a line, from local programs that connect. While the sink is full none is read, and
 * whoever connects before the agent has started waits for it.
 */
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { type Clock, type Logger, reasonOf, systemCode } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Inflow } from "../inflow.ts";
import { Intake } from "../intake.ts";
import { type Line, tooLong } from "../lines.ts";
import { defaultGraceMs, type Source, type SourceStatus, type TickSink } from "../source.ts";
import type { ListenSpec } from "../spec.ts";
import { UnreadLines } from "../unread-lines.ts";
import { listening, sayAddress } from "./listening.ts";

/** Further ones are closed at once. */
const maxConnections = 64;

interface Connection {
  inflow: Inflow;
  ended: Promise<void>;
}

export class TcpSource implements Source {
  readonly #spec: ListenSpec;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #intake: Intake;
  readonly #server: Server;
  readonly #course = new Course();
  /** Those that came before anybody reads: what they write waits in the system. */
  readonly #early = new Set<Socket>();
  readonly #connections = new Map<Socket, Connection>();
  readonly #unread: UnreadLines;
  #sink: TickSink | undefined;
  #graceMs = defaultGraceMs;

  constructor(spec: ListenSpec, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#logger = logger;
    this.#intake = new Intake(spec.text, logger);
    // Full or not: the next trade waits for room.
    this.#unread = new UnreadLines(clock, (gap) => this.#sink && this.#intake.putGap(gap, this.#sink));
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#welcome(socket));
    this.#server.maxConnections = maxConnections;
  }

  status(): SourceStatus {
    const { ticks, skipped, dropped, gaps } = this.#intake;
    const all = skipped + dropped;
    return { spec: this.#spec.text, state: this.#course.state, ticks, skipped: all, gaps, done: null };
  }

  async open(): Promise<void> {
    const { host, port } = this.#spec;
    await listening(this.#server, this.#spec, (ready) => this.#server.listen(port, host, ready));
    this.#server.on("drop", () => this.#warn(`there are ${maxConnections} connections already`));
    sayAddress(this.#logger, this.#spec, this.#server.address());
  }

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    for (const socket of this.#early) this.#begin(socket, sink);
    this.#early.clear();
    await this.#course.run(async () => {
      // Who has connected already is still heard.
      await setImmediate();
      this.#server.close();
      for (const [socket, { inflow }] of this.#connections) this.#end(socket, inflow);
      await Promise.all([...this.#connections.values()].map(({ ended }) => ended));
      this.#unread.stop();
      this.#intake.end();
    });
  }

  stop(graceMs = defaultGraceMs): void {
    this.#graceMs = graceMs;
    this.#course.end();
    if (this.#sink !== undefined) return;
    this.#server.close();
    for (const socket of this.#early) socket.destroy();
  }

  #welcome(socket: Socket): void {
    if (this.#sink === undefined) this.#early.add(socket);
    else this.#begin(socket, this.#sink);
  }

  #begin(socket: Socket, sink: TickSink): void {
    const [clock, intake, unread] = [this.#clock, this.#intake, this.#unread];
    const inflow = new Inflow({ input: socket, sink, clock, intake, unread, isForeign: isHttp });
    this.#connections.set(socket, { inflow, ended: this.#read(socket, inflow) });
  }

  /** The program sees that nobody reads on, and what it has written until then is taken. */
  #end(socket: Socket, inflow: Inflow): void {
    socket.end();
    inflow.stop(this.#graceMs);
  }

  async #read(socket: Socket, inflow: Inflow): Promise<void> {
    try {
      if (await inflow.read()) this.#warn("a connection spoke HTTP and was closed");
    } catch (error) {
      // A program that breaks off takes only its own connection with it.
      if (systemCode(error) === undefined) this.#course.fail(error);
      else this.#warn(`a connection broke off: ${reasonOf(error)}`);
    } finally {
      this.#connections.delete(socket);
      socket.destroy();
    }
  }

  #warn(reason: string): void {
    this.#logger.warn({ event: "sourceConnection", source: this.#spec.text, reason }, reason);
  }
}

/** A web page can make a browser post to any port; the lines of its body must not pass for trades. */
const isHttp = (line: Line): boolean => line !== tooLong && /^[A-Z]+ .* HTTP\/1\.[01]$/.test(line);
