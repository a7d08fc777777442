/** Normalised trades from local programs in datagrams, one JSON object a line. What comes while the sink is full is
 * dropped, counted and said: a datagram cannot be made to wait. */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { type Clock, EquipoiseError, type Logger, limits } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Intake } from "../intake.ts";
import { tooLong } from "../lines.ts";
import { parseNormalisedTrade } from "../normalised.ts";
import type { Source, SourceStatus, TickSink } from "../source.ts";
import type { ListenSpec } from "../spec.ts";
import { listening, sayAddress } from "./listening.ts";

export class UdpSource implements Source {
  /** Lines dropped because the sink was full; they count as skipped. */
  dropped = 0;
  readonly #spec: ListenSpec;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #intake: Intake;
  readonly #socket: Socket;
  readonly #course = new Course();
  #sink: TickSink | undefined;
  #full = false;

  constructor(spec: ListenSpec, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#logger = logger;
    this.#intake = new Intake(spec.text, logger);
    this.#socket = createSocket(isIPv6(spec.host) ? "udp6" : "udp4");
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    const { text: spec } = this.#spec;
    return { spec, state: this.#course.state, ticks, skipped: skipped + this.dropped, gaps, done: null };
  }

  async open(): Promise<void> {
    const { host, port } = this.#spec;
    await listening(this.#socket, this.#spec, (ready) => this.#socket.bind(port, host, ready));
    this.#socket.on("error", this.#course.fail);
    this.#socket.on("message", (datagram) => this.#take(datagram.toString("utf8")));
    sayAddress(this.#logger, this.#spec, this.#socket.address());
  }

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    await this.#course.run(() => {
      this.#socket.close();
      this.#intake.end();
    });
  }

  stop(): void {
    this.#course.end();
  }

  #take(datagram: string): void {
    const sink = this.#sink;
    const lines = datagram.split("\n").filter((line) => line !== "" && line !== "\r");
    if (sink === undefined)
      this.dropped += lines.length; // the agent has not started yet
    else for (const line of lines) this.#takeLine(line, sink);
  }

  #takeLine(text: string, sink: TickSink): void {
    if (this.#full) {
      this.dropped += 1;
      return;
    }
    const receivedTimeUs = Math.round(this.#clock.wallMs() * 1000);
    const line = Buffer.byteLength(text) > limits.maxRecordBytes ? tooLong : text;
    const trade = this.#intake.next(line, (whole) => parseNormalisedTrade(whole, receivedTimeUs));
    if (trade !== undefined && !this.#intake.put(trade, sink)) this.#wait(sink);
  }

  #wait(sink: TickSink): void {
    this.#full = true;
    const before = this.dropped;
    sink.room().then(() => {
      this.#full = false;
      if (this.dropped > before) this.#sayDropped(this.dropped - before);
    }, this.#course.fail);
  }

  #sayDropped(dropped: number): void {
    const error = new EquipoiseError(
      "EQ_LIMIT_REACHED",
      `${this.#spec.text} dropped ${dropped} lines: buffer.maxBytes`,
    );
    const fields = { event: "sourceDropped", code: error.code, source: this.#spec.text, dropped };
    this.#logger.warn(fields, error.line);
  }
}
