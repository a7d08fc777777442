/** A venue's live trades as a source. */
import { type Clock, EquipoiseError, type Logger, type Missing, type VenueTrade } from "@equipoise/shared";
import { Course } from "../course.ts";
import { Intake } from "../intake.ts";
import type { ReadMarks, Source, SourceStatus, TickSink } from "../source.ts";
import { Unread } from "../unread.ts";
import { specText, type VenueSpec } from "../venue-specs.ts";
import { Feed } from "./feed.ts";
import { Link } from "./link.ts";
import { Session } from "./session.ts";
import { symbolOf, type VenueMessage, type VenueTick } from "./venue.ts";

export interface VenueSourceOptions {
  spec: VenueSpec;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  logger: Logger;
  marks: ReadMarks;
}

/** A symbol that was there and is missing on a new connection is asked for again; the pauses double. */
const minAskAgainMs = 60_000;
const maxAskAgainMs = 3_600_000;

export class VenueSource implements Source {
  readonly #options: VenueSourceOptions;
  readonly #intake: Intake;
  readonly #feed: Feed;
  readonly #session: Session;
  readonly #unread: Unread;
  readonly #course = new Course();
  readonly #link: Link;
  #spec: VenueSpec;
  #sink: TickSink | undefined;
  #waiting = false;
  #askAgainMs = minAskAgainMs;
  #cancelAsking: (() => void) | undefined;
  /** When the last frame came, wall clock; undefined before the first. */
  #heardTimeUs: number | undefined;

  constructor(options: VenueSourceOptions) {
    const { spec, clock, random, logger } = options;
    this.#options = options;
    this.#spec = spec;
    this.#link = new Link(clock);
    this.#intake = new Intake(spec.text, logger, "frame");
    this.#feed = new Feed({
      clock,
      countsTrades: spec.venue.countsTrades,
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
      covered: (symbol) => this.#feed.regained(symbol, this.#nowUs()),
      live: () => this.#onLive(),
      lost: (symbol, timeUs) => this.#feed.lost(symbol, timeUs),
      retrying: (reason, retryMs) => this.#onRetrying(reason, retryMs),
      replacing: (reason) => this.#say("sourceReplacing", `a new connection takes over: ${reason}`),
    });
  }

  status(): SourceStatus {
    const { ticks, skipped, gaps } = this.#intake;
    const connection = this.#link.status(this.missing);
    return { spec: this.#spec.text, state: this.#course.state, ticks, skipped, gaps, done: null, connection };
  }

  /** As it is now. */
  get spec(): VenueSpec {
    return this.#spec;
  }

  /** Goes over to these symbols; for those that stay nothing is missed, for a new connection takes over. */
  follow(symbols: string[]): void {
    const before = this.#spec.symbols;
    this.#spec = { ...this.#spec, symbols, text: specText({ ...this.#spec, symbols }) };
    if (this.#sink === undefined || symbols.join() === before.join()) return;
    for (const symbol of before) if (!symbols.includes(symbol)) this.#remove(this.#nameOf(symbol));
    this.#addSymbols();
    this.#session.renew("symbols were changed");
  }

  /** The symbols, as in topics, that no connection has: refused, not answered for, or not asked for yet. */
  get missing(): string[] {
    const names = this.#spec.symbols.map((symbol) => this.#nameOf(symbol));
    return names.filter((symbol) => !this.#session.covers(symbol));
  }

  /** Ticks that came more than once and were dropped. */
  get repeated(): number {
    return this.#feed.repeated;
  }

  async open(): Promise<void> {}

  async run(sink: TickSink): Promise<void> {
    this.#sink = sink;
    this.#addSymbols();
    this.#session.start();
    await this.#course.run(() => {
      this.#cancelAsking?.();
      this.#session.stop();
      this.#feed.settle();
      this.#unread.stop();
      for (const [symbol, timeUs] of this.#feed.lostSymbols()) this.#readUntil(symbol, timeUs);
      this.#intake.end();
      this.#say("sourceEnded", "ended", { ...this.status(), repeated: this.repeated });
    });
  }

  stop(): void {
    this.#course.end();
  }

  #addSymbols(): void {
    const { venue, symbols } = this.#spec;
    for (const symbol of symbols.map((text) => this.#nameOf(text)))
      this.#feed.add(symbol, this.#options.marks.of(venue.name, symbol));
  }

  #remove(symbol: string): void {
    const nowUs = this.#nowUs();
    this.#feed.remove(symbol, nowUs);
    this.#readUntil(symbol, nowUs);
  }

  #readUntil(symbol: string, timeUs: number): void {
    this.#options.marks.readUntil(this.#spec.venue.name, symbol, timeUs);
  }

  #read(frame: string): VenueMessage[] | undefined {
    const nowUs = this.#nowUs();
    const messages = this.#intake.next(frame, (text) => this.#options.spec.venue.read(text, nowUs));
    if (messages === undefined) this.#unread.note(frame, this.#heardTimeUs ?? nowUs, nowUs);
    this.#heardTimeUs = nowUs;
    return messages;
  }

  #take(ticks: VenueTick[], snapshot: boolean): void {
    if (ticks.length > 0) this.#link.ticked();
    this.#intake.attempt((taken) => this.#feed.take(taken, snapshot), ticks);
  }

  #onLive(): void {
    this.#link.up();
    const { missing } = this;
    const but = missing.length === 0 ? "" : `, but not ${missing.join(", ")}`;
    this.#say("sourceLive", `subscribed${but}`, { missing });
    this.#askAgain(missing.filter((symbol) => this.#feed.knows(symbol)));
  }

  /** On a new connection, which takes over. @param missing symbols that were subscribed once, so they exist */
  #askAgain(missing: readonly string[]): void {
    this.#cancelAsking?.();
    const delayMs = this.#askAgainMs;
    this.#askAgainMs = missing.length === 0 ? minAskAgainMs : Math.min(maxAskAgainMs, delayMs * 2);
    if (missing.length === 0) return;
    this.#cancelAsking = this.#options.clock.after(delayMs, () => {
      if (this.#session.isLive) this.#session.renew(`it lacks ${missing.join(", ")}`);
    });
  }

  #onRetrying(reason: string, retryMs: number): void {
    if (!this.#session.isLive) this.#link.down(reason);
    this.#warn("sourceLost", "EQ_SOURCE_UNREACHABLE", reason, { retryMs });
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
    this.#link.down(reason);
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

  #nameOf(symbol: string): string {
    return symbolOf(this.#spec.venue, symbol);
  }

  #nowUs(): number {
    return Math.round(this.#options.clock.wallMs() * 1000);
  }
}
