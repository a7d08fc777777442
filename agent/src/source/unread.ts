/**
 * What came to a source and was not read, where nothing else would tell that it is missing. It becomes gap records with
 * times, for the streams that it may have been of. They wait a little, so that a run of it makes one for each stream:
 * a second at first, and twice as long each time while there is more.
 */
import { type Clock, type Missing, normaliseSymbol } from "@equipoise/shared";

export interface UnreadStream {
  venue: string;
  symbol: string;
}

export interface UnreadOptions {
  clock: Clock;
  /** Those that the source has had or asked for. */
  streams: () => Iterable<UnreadStream>;
  gap: (stream: UnreadStream, missing: Missing) => void;
}

const minWaitMs = 1_000;
const maxWaitMs = 60_000;

export class Unread {
  readonly #options: UnreadOptions;
  /** By venue and symbol. */
  readonly #untold = new Map<string, { stream: UnreadStream; fromTimeUs: number; toTimeUs: number }>();
  #waitMs = minWaitMs;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: UnreadOptions) {
    this.#options = options;
  }

  /**
   * @param text what was not read, as far as it is known; a stream whose symbol it names is the one that is concerned
   * @param fromTimeUs when something was read last, by this machine's clock
   * @param only those that it was of, where that is known
   */
  note(text: string, fromTimeUs: number, toTimeUs: number, only = this.#namedBy(text)): void {
    if (this.#stopped) return;
    for (const stream of only) {
      const key = `${stream.venue}/${stream.symbol}`;
      const known = this.#untold.get(key) ?? { stream, fromTimeUs, toTimeUs };
      this.#untold.set(key, { ...known, toTimeUs: Math.max(known.toTimeUs, toTimeUs) });
    }
    if (this.#untold.size > 0) this.#cancel ??= this.#options.clock.after(this.#waitMs, () => this.#tell());
  }

  #namedBy(text: string): UnreadStream[] {
    const streams = [...this.#options.streams()];
    const plain = lettersOf(text);
    const named = streams.filter(({ symbol }) => plain.includes(lettersOf(symbol)));
    return named.length > 0 ? named : streams;
  }

  /** Tells what there is at once, for the last time. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#flush();
  }

  /** The next time comes later, unless nothing is noted until then. */
  #tell(): void {
    const more = this.#flush();
    this.#waitMs = more ? Math.min(maxWaitMs, this.#waitMs * 2) : minWaitMs;
    this.#cancel = more ? this.#options.clock.after(this.#waitMs, () => this.#tell()) : undefined;
  }

  #flush(): boolean {
    const untold = [...this.#untold.values()];
    this.#untold.clear();
    for (const { stream, fromTimeUs, toTimeUs } of untold) {
      const times = { fromTimeUs: Math.min(fromTimeUs, toTimeUs), toTimeUs };
      this.#options.gap(stream, { reason: "feed", count: null, ...times });
    }
    return untold.length > 0;
  }
}

/** Venues write one symbol in several ways. */
const lettersOf = (text: string): string => normaliseSymbol(text).replaceAll(/[^A-Z0-9]/g, "");
