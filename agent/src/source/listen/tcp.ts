/** Normalised trades, one JSON object a line, from local programs that connect. While the sink is full none is read. */
import { createServer, type Server, type Socket } from "node:net";
import { type Clock, type Logger, limits, reasonOf, systemCode } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Intake } from "../intake.ts";
import { type Line, lineBatches, tooLong } from "../lines.ts";
import { parseNormalisedTrade } from "../normalised.ts";
import type { Source, SourceStatus, TickSink } from "../source.ts";
import type { ListenSpec } from "../spec.ts";
import { UnreadLines } from "../unread-lines.ts";
import { listening, sayAddress } from "./listening.ts";

/** Further ones are closed at once. */
const maxConnections = 64;

export class TcpSource implements Source {
  readonly #spec: ListenSpec;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #intake: Intake;
  readonly #server: Server;
  readonly #course = new Course();
  readonly #readers = new Map<Socket, Promise<void>>();
  readonly #unread: UnreadLines;
  #sink: TickSink | undefined;
  #stopped = false;

  constructor(spec: ListenSpec, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#logger = logger;
    this.#intake = new Intake(spec.text, logger);
    // Full or not: the next trade waits for room.
    this.#unread = new UnreadLines(clock, (gap) => this.#sink && this.#intake.putGap(gap, this.#sink));
    this.#server = createServer((socket) => this.#welcome(socket));
    this.#server.maxConnections = maxConnections;
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    return { spec: this.#spec.text, state: this.#course.state, ticks, skipped, gaps, done: null };
  }

  async open(): Promise<void> {
    const { host, port } = this.#spec;
    await listening(this.#server, this.#spec, (ready) => this.#server.listen(port, host, ready));
    this.#server.on("drop", () => this.#warn(`there are ${maxConnections} connections already`));
    sayAddress(this.#logger, this.#spec, this.#server.address());
  }

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    await this.#course.run(async () => {
      this.#server.close();
      for (const socket of this.#readers.keys()) socket.destroy();
      await Promise.all(this.#readers.values());
      this.#unread.stop();
      this.#intake.end();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#server.close();
    this.#course.end();
  }

  #welcome(socket: Socket): void {
    const sink = this.#sink;
    if (sink === undefined)
      socket.destroy(); // it comes again when the agent has started
    else this.#readers.set(socket, this.#read(socket, sink));
  }

  async #read(socket: Socket, sink: TickSink): Promise<void> {
    try {
      for await (const lines of lineBatches(socket, limits.maxRecordBytes)) {
        for (const line of lines) {
          if (isHttp(line)) return this.#warn("a connection spoke HTTP and was closed");
          const receivedTimeUs = Math.round(this.#clock.wallMs() * 1000);
          const trade = this.#intake.next(line, (text) => parseNormalisedTrade(text, receivedTimeUs));
          if (trade === undefined) this.#unread.note(line);
          else this.#unread.read(trade, receivedTimeUs);
          if (trade !== undefined && !this.#intake.put(trade, sink)) await sink.room();
        }
      }
    } catch (error) {
      // A program that breaks off takes only its own connection with it.
      if (systemCode(error) === undefined) this.#course.fail(error);
      else if (!this.#stopped) this.#warn(`a connection broke off: ${reasonOf(error)}`);
    } finally {
      this.#readers.delete(socket);
      socket.destroy();
    }
  }

  #warn(reason: string): void {
    this.#logger.warn({ event: "sourceConnection", source: this.#spec.text, reason }, reason);
  }
}

/** A web page can make a browser post to any port; the lines of its body must not pass for trades. */
const isHttp = (line: Line): boolean => line !== tooLong && /^[A-Z]+ .* HTTP\/1\.[01]$/.test(line);
