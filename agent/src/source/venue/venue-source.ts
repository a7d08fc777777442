/** A venue's live trades as a source. */
import { type Clock, EquipoiseError, type Logger, type Missing, type VenueTrade } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Intake } from "../intake.ts";
import type { Source, SourceStatus, TickSink } from "../source.ts";
import { Unread } from "../unread.ts";
import { specText, type VenueSpec } from "../venue-specs.ts";
import { Feed } from "./feed.ts";
import { Session } from "./session.ts";
import type { VenueMessage, VenueTick } from "./venue.ts";

export interface VenueSourceOptions {
  spec: VenueSpec;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
}

export class VenueSource implements Source {
  readonly #options: VenueSourceOptions;
  readonly #intake: Intake;
  readonly #feed: Feed;
  readonly #session: Session;
  readonly #unread: Unread;
  readonly #course = new Course();
  #spec: VenueSpec;
  #sink: TickSink | undefined;
  #waiting = false;
  /** When the last frame came, wall clock; undefined before the first. */
  #heardTimeUs: number | undefined;

  constructor(options: VenueSourceOptions) {
    const { spec, clock, random, logger } = options;
    this.#options = options;
    this.#spec = spec;
    this.#intake = new Intake(spec.text, logger, "frame");
    this.#feed = new Feed(spec.symbols, {
      clock,
      trade: (trade) => this.#put(trade),
      gap: (symbol, missing) => this.#putGap(symbol, missing),
    });
    this.#unread = new Unread({
      clock,
      streams: () => this.#feed.blindSymbols().map((symbol) => ({ venue: spec.venue.name, symbol })),
      gap: ({ symbol }, missing) => this.#putGap(symbol, missing),
    });
    this.#session = new Session({
      venue: spec.venue,
      url: spec.url,
      symbols: () => this.#spec.symbols,
      clock,
      random,
      read: (frame) => this.#read(frame),
      ticks: (ticks, snapshot) => this.#take(ticks, snapshot),
      refused: (reason) => this.#warn("sourceRefused", "EQ_SOURCE_REFUSED", reason),
      hopeless: (reason) => this.#fail(reason),
      live: () => this.#onLive(),
      lost: (timeUs) => this.#feed.lost(timeUs),
      retrying: (reason, retryMs) => this.#warn("sourceLost", "EQ_SOURCE_UNREACHABLE", reason, { retryMs }),
      replacing: (reason) => this.#say("sourceReplacing", `a new connection takes over: ${reason}`),
    });
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    return { spec: this.#spec.text, state: this.#course.state, ticks, skipped, gaps, done: null };
  }

  /** As it is now. */
  get spec(): VenueSpec {
    return this.#spec;
  }

  /** Goes over to these symbols; for those that stay nothing is missed, for a new connection takes over. */
  follow(symbols: string[]): void {
    const before = this.#spec.symbols;
    this.#spec = { ...this.#spec, symbols, text: specText({ ...this.#spec, symbols }) };
    for (const symbol of before) if (!symbols.includes(symbol)) this.#feed.remove(symbol);
    for (const symbol of symbols) this.#feed.add(symbol);
    if (this.#sink !== undefined && symbols.join() !== before.join())
      this.#session.renew("symbols were changed");
  }

  /** Ticks that came more than once and were dropped. */
  get repeated(): number {
    return this.#feed.repeated;
  }

  async open(): Promise<void> {}

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    this.#session.start();
    await this.#course.run(() => {
      this.#session.stop();
      this.#feed.settle();
      this.#unread.stop();
      this.#intake.end();
      this.#say("sourceEnded", "ended", { ...this.status(), repeated: this.repeated });
    });
  }

  stop(): void {
    this.#course.end();
  }

  #read(frame: string): VenueMessage[] | undefined {
    const nowUs = this.#nowUs();
    const messages = this.#intake.next(frame, (text) => this.#options.spec.venue.read(text, nowUs));
    if (messages === undefined) this.#unread.note(frame, this.#heardTimeUs ?? nowUs, nowUs);
    this.#heardTimeUs = nowUs;
    return messages;
  }

  #take(ticks: VenueTick[], snapshot: boolean): void {
    this.#intake.attempt((taken) => this.#feed.take(taken, snapshot), ticks);
  }

  #onLive(): void {
    this.#feed.regained(this.#nowUs());
    this.#say("sourceLive", "subscribed");
  }

  #put(trade: VenueTrade): void {
    const sink = this.#sink;
    if (sink !== undefined && !this.#intake.put(trade, sink)) this.#wait(sink);
  }

  #putGap(symbol: string, missing: Missing): void {
    const sink = this.#sink;
    const gap = { venue: this.#options.spec.venue.name, symbol, ...missing };
    if (sink !== undefined && !this.#intake.putGap(gap, sink)) this.#wait(sink);
  }

  #wait(sink: TickSink): void {
    if (this.#waiting) return;
    this.#waiting = true;
    this.#session.pause();
    sink.room().then(() => {
      this.#waiting = false;
      this.#session.resume();
    }, this.#course.fail);
  }

  #fail(reason: string): void {
    this.#course.fail(new EquipoiseError("EQ_SOURCE_REFUSED", `${this.#options.spec.text}: ${reason}`));
  }

  #say(event: string, message: string, fields: object = {}): void {
    const { spec, logger } = this.#options;
    logger.info({ event, source: spec.text, ...fields }, message);
  }

  #warn(
    event: string,
    code: "EQ_SOURCE_REFUSED" | "EQ_SOURCE_UNREACHABLE",
    reason: string,
    fields: object = {},
  ): void {
    const { spec, logger } = this.#options;
    const error = new EquipoiseError(code, `${spec.text}: ${reason}`);
    logger.warn({ event, code, source: spec.text, reason, ...fields }, error.line);
  }

  #nowUs(): number {
    return Math.round(this.#options.clock.wallMs() * 1000);
  }
}
