/**
 * Normalised trades from local programs in datagrams, one JSON object a line. What comes while the sink is full is
 * dropped, counted and said: a datagram cannot be made to wait. That, what cannot be read and what the system drops
 * before it is read becomes gap records. What comes before the agent has started waits in memory.
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { type Clock, type Logger, limits, type VenueTrade } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Intake } from "../intake.ts";
import { LastCall } from "../last-call.ts";
import { tooLong } from "../lines.ts";
import { parseNormalisedTrade } from "../normalised.ts";
import { defaultGraceMs, type Source, type SourceStatus, type TickSink } from "../source.ts";
import type { ListenSpec } from "../spec.ts";
import { UnreadLines } from "../unread-lines.ts";
import { listening, sayAddress } from "./listening.ts";
import { droppedDatagrams } from "./udp-drops.ts";
import { EarlyLines, type ReceivedLine } from "./udp-early.ts";

const dropsPeriodMs = 1_000;
/** A feed never pauses; what had arrived at the stop is read long before. */
const maxGraceMs = 300;
/** What is asked for; the system gives no more than it allows. */
const receiveBufferBytes = 4 * 2 ** 20;

export class UdpSource implements Source {
  readonly #spec: ListenSpec;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #intake: Intake;
  readonly #socket: Socket;
  readonly #course = new Course();
  readonly #lastCall: LastCall;
  readonly #quiet = Promise.withResolvers<void>();
  #graceMs = maxGraceMs;
  /** Until all of it is taken. */
  #early: EarlyLines | undefined = new EarlyLines();
  #sink: TickSink | undefined;
  readonly #unread: UnreadLines;
  #full = false;
  #roomMade: Promise<void> | undefined;
  /** Drops that the log has told. */
  #saidDropped = 0;
  /** Datagrams that the system has dropped; they count as skipped too. */
  #systemDrops = 0;
  #dropsTimeUs: number;
  #cancelDrops = (): void => {};

  constructor(spec: ListenSpec, clock: Clock, logger: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#logger = logger;
    this.#intake = new Intake(spec.text, logger);
    const type = isIPv6(spec.host) ? "udp6" : "udp4";
    this.#socket = createSocket({ type, recvBufferSize: receiveBufferBytes });
    this.#lastCall = new LastCall(clock, () => this.#quiet.resolve());
    this.#dropsTimeUs = this.#nowUs();
    this.#unread = new UnreadLines(clock, (gap) => {
      const sink = this.#sink;
      if (sink !== undefined && !this.#intake.putGap(gap, sink)) this.#wait(sink);
    });
  }

  status(): SourceStatus {
    const { ticks, skipped, dropped, gaps } = this.#intake;
    const all = skipped + dropped + this.#systemDrops;
    return { spec: this.#spec.text, state: this.#course.state, ticks, skipped: all, gaps, done: null };
  }

  async open(): Promise<void> {
    const { host, port } = this.#spec;
    await listening(this.#socket, this.#spec, (ready) => this.#socket.bind(port, host, ready));
    this.#socket.on("error", this.#course.fail);
    this.#socket.on("message", (datagram) => this.#receive(datagram.toString("utf8")));
    sayAddress(this.#logger, this.#spec, this.#socket.address());
  }

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    this.#cancelDrops = this.#clock.every(dropsPeriodMs, () => {
      this.#checkDrops().catch(this.#course.fail);
    });
    const caughtUp = this.#catchUp(sink);
    caughtUp.catch(this.#course.fail);
    await this.#course.run(async () => {
      this.#cancelDrops();
      this.#lastCall.begin(this.#graceMs);
      await Promise.all([caughtUp, this.#quiet.promise]);
      await this.#checkDrops();
      this.#socket.close();
      this.#sayDropped();
      this.#unread.stop();
      this.#intake.end();
    });
  }

  stop(graceMs = defaultGraceMs): void {
    this.#graceMs = Math.min(graceMs, maxGraceMs);
    this.#course.end();
    if (this.#sink === undefined) this.#socket.close();
  }

  #receive(datagram: string): void {
    this.#lastCall.came();
    const receivedTimeUs = this.#nowUs();
    for (const text of datagram.split("\n")) {
      if (text === "" || text === "\r") continue;
      if (this.#early !== undefined) this.#early.add({ text, receivedTimeUs });
      else this.#take({ text, receivedTimeUs }, this.#sink as TickSink);
    }
    this.#lastCall.wait();
  }

  /** In order: what comes meanwhile waits behind it. */
  async #catchUp(sink: TickSink): Promise<void> {
    const { waiting } = this.#early as EarlyLines;
    for (const line of waiting) {
      this.#take(line, sink);
      if (this.#full) await this.#roomMade;
    }
    const { dropped, droppedSinceUs } = this.#early as EarlyLines;
    this.#early = undefined;
    if (droppedSinceUs === undefined) return;
    this.#intake.dropped += dropped;
    this.#saidDropped += dropped;
    this.#intake.sayDropped(`${dropped} lines that came while the agent started`, dropped);
    this.#unread.noteSince(droppedSinceUs);
  }

  #take({ text, receivedTimeUs }: ReceivedLine, sink: TickSink): void {
    const trade = this.#full ? this.#drop() : this.#read(text, receivedTimeUs);
    if (trade === undefined) return this.#unread.note(text);
    this.#unread.read(trade, receivedTimeUs);
    if (!this.#intake.put(trade, sink)) this.#wait(sink);
  }

  #read(text: string, receivedTimeUs: number): VenueTrade | undefined {
    const line = Buffer.byteLength(text) > limits.maxRecordBytes ? tooLong : text;
    return this.#intake.next(line, (whole) => parseNormalisedTrade(whole, receivedTimeUs));
  }

  #drop(): undefined {
    this.#intake.dropped += 1;
  }

  async #checkDrops(): Promise<void> {
    const drops = (await droppedDatagrams(this.#socket.address())) ?? 0;
    const sinceUs = this.#dropsTimeUs;
    this.#dropsTimeUs = this.#nowUs();
    const more = drops - this.#systemDrops;
    if (more <= 0) return;
    this.#systemDrops = drops;
    const bytes = this.#socket.getRecvBufferSize();
    const limit = `the socket's receive buffer of ${bytes} bytes was full (net.core.rmem_max)`;
    this.#intake.sayDropped(`${more} datagrams: ${limit}`, more);
    this.#unread.noteSince(sinceUs);
  }

  #wait(sink: TickSink): void {
    if (this.#full) return;
    this.#full = true;
    this.#roomMade = sink.room().then((hasRoom) => {
      this.#full = !hasRoom;
      this.#sayDropped();
    });
    this.#roomMade.catch(this.#course.fail);
  }

  #sayDropped(): void {
    const dropped = this.#intake.dropped - this.#saidDropped;
    this.#saidDropped = this.#intake.dropped;
    if (dropped > 0) this.#intake.sayDropped(`${dropped} lines: buffer.maxBytes`, dropped);
  }

  #nowUs(): number {
    return Math.round(this.#clock.wallMs() * 1000);
  }
}
