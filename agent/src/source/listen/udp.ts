/**
 * Normalised trades from local programs in datagrams, one JSON object a line. What comes while the sink is full is
 * dropped, counted and said: a datagram cannot be made to wait. That, what cannot be read and what the system drops
 * before it is read becomes gap records.
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { type Clock, EquipoiseError, type Logger, limits, type VenueTrade } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Intake } from "../intake.ts";
import { tooLong } from "../lines.ts";
import { parseNormalisedTrade } from "../normalised.ts";
import type { Source, SourceStatus, TickSink } from "../source.ts";
import type { ListenSpec } from "../spec.ts";
import { UnreadLines } from "../unread-lines.ts";
import { listening, sayAddress } from "./listening.ts";
import { droppedDatagrams } from "./udp-drops.ts";

const dropsPeriodMs = 1_000;

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
  readonly #unread: UnreadLines;
  #full = false;
  /** Datagrams that the system has dropped; they count as skipped too. */
  #systemDrops = 0;
  #dropsTimeUs: number;
  #cancelDrops = (): void => {};

  constructor(spec: ListenSpec, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#logger = logger;
    this.#intake = new Intake(spec.text, logger);
    this.#socket = createSocket(isIPv6(spec.host) ? "udp6" : "udp4");
    this.#dropsTimeUs = this.#nowUs();
    this.#unread = new UnreadLines(clock, (gap) => {
      const sink = this.#sink;
      if (sink !== undefined && !this.#intake.putGap(gap, sink)) this.#wait(sink);
    });
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    const all = skipped + this.dropped + this.#systemDrops;
    return { spec: this.#spec.text, state: this.#course.state, ticks, skipped: all, gaps, done: null };
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
    this.#cancelDrops = this.#clock.every(dropsPeriodMs, () => {
      this.#checkDrops().catch(this.#course.fail);
    });
    await this.#course.run(() => {
      this.#cancelDrops();
      this.#socket.close();
      this.#unread.stop();
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
    const nowUs = this.#nowUs();
    const trade = this.#full ? this.#drop() : this.#read(text, nowUs);
    if (trade === undefined) return this.#unread.note(text);
    this.#unread.read(trade, nowUs);
    if (!this.#intake.put(trade, sink)) this.#wait(sink);
  }

  #read(text: string, receivedTimeUs: number): VenueTrade | undefined {
    const line = Buffer.byteLength(text) > limits.maxRecordBytes ? tooLong : text;
    return this.#intake.next(line, (whole) => parseNormalisedTrade(whole, receivedTimeUs));
  }

  #drop(): undefined {
    this.dropped += 1;
  }

  async #checkDrops(): Promise<void> {
    const drops = (await droppedDatagrams(this.#socket.address())) ?? 0;
    const sinceUs = this.#dropsTimeUs;
    this.#dropsTimeUs = this.#nowUs();
    const more = drops - this.#systemDrops;
    if (more <= 0) return;
    this.#systemDrops = drops;
    this.#sayDropped(`${more} datagrams: the socket's buffer was full`, more);
    this.#unread.noteSince(sinceUs);
  }

  #wait(sink: TickSink): void {
    if (this.#full) return;
    this.#full = true;
    const before = this.dropped;
    sink.room().then(() => {
      this.#full = false;
      const dropped = this.dropped - before;
      if (dropped > 0) this.#sayDropped(`${dropped} lines: buffer.maxBytes`, dropped);
    }, this.#course.fail);
  }

  #sayDropped(what: string, dropped: number): void {
    const error = new EquipoiseError("EQ_LIMIT_REACHED", `${this.#spec.text} dropped ${what}`);
    const fields = { event: "sourceDropped", code: error.code, source: this.#spec.text, dropped };
    this.#logger.warn(fields, error.line);
  }

  #nowUs(): number {
    return Math.round(this.#clock.wallMs() * 1000);
  }
}
