/**
 * One rule for all sources of lines: a line that cannot be read becomes a gap record of the stream that its own fields
 * name; else of those that the source has had and whose symbol its text names; else of all that the source has had.
 * Where there are none yet, it is counted and said only.
 */
import { type Clock, type Missing, normaliseSymbol, type VenueGap, type VenueTrade } from "@equipoise/shared";
import { isFields } from "./fields.ts";
import { type Line, tooLong } from "./lines.ts";
import { Unread, type UnreadStream } from "./unread.ts";

/** Whose gaps are told; a program that invents symbols must not fill the memory. */
const maxStreams = 1_000;

export class UnreadLines {
  readonly #unread: Unread;
  readonly #nowUs: () => number;
  readonly #streams = new Map<string, UnreadStream>();
  #newest: UnreadStream | undefined;
  /** When something was read last, wall clock. */
  #readTimeUs: number;

  constructor(clock: Clock, gap: (gap: VenueGap) => void) {
    this.#nowUs = () => Math.round(clock.wallMs() * 1000);
    this.#readTimeUs = this.#nowUs();
    const streams = () => this.#streams.values();
    const tell = (stream: UnreadStream, missing: Missing): void => gap({ ...stream, ...missing });
    this.#unread = new Unread({ clock, streams, gap: tell });
  }

  /** A trade was read. */
  read({ venue, symbol }: VenueTrade, nowUs: number): void {
    this.#readTimeUs = nowUs;
    if (this.#newest?.venue !== venue || this.#newest.symbol !== symbol) this.#know({ venue, symbol });
  }

  /** A line was not read; an empty one says nothing. */
  note(line: Line): void {
    if (line === "") return;
    const text = line === tooLong ? "" : line;
    const named = namedBy(text);
    const known = named !== undefined && this.#know(named);
    this.#unread.note(text, this.#readTimeUs, this.#nowUs(), known ? [named] : undefined);
  }

  /** Nobody knows what there was since then. */
  noteSince(sinceUs: number): void {
    this.#unread.note("", sinceUs, this.#nowUs());
  }

  /** Tells what there is, for the last time. */
  stop(): void {
    this.#unread.stop();
  }

  #know(stream: UnreadStream): boolean {
    const key = `${stream.venue}/${stream.symbol}`;
    const isKnown = this.#streams.has(key);
    if (!isKnown && this.#streams.size >= maxStreams) return false;
    if (!isKnown) this.#streams.set(key, stream);
    this.#newest = stream;
    return true;
  }
}

/** The stream that a line's fields name, although others of them are wrong. */
function namedBy(text: string): UnreadStream | undefined {
  try {
    const fields: unknown = JSON.parse(text);
    if (!isFields(fields) || typeof fields.venue !== "string" || typeof fields.symbol !== "string")
      return undefined;
    if (fields.venue === "" || fields.symbol === "") return undefined;
    return { venue: fields.venue.toLowerCase(), symbol: normaliseSymbol(fields.symbol) };
  } catch {
    return undefined; // not JSON: what it names may still be found in its text
  }
}
