/** How far the sources had read each stream: kept with it, and written with the commits. */
import type { ReadMark, ReadMarks } from "../source/source.ts";
import type { Streams } from "./streams.ts";

export class Marks implements ReadMarks {
  readonly #streams: () => Streams;
  readonly #changed: () => void;

  /** @param changed something is to be written that no tick brings with it */
  constructor(streams: () => Streams, changed: () => void) {
    this.#streams = streams;
    this.#changed = changed;
  }

  of(venue: string, symbol: string): ReadMark | undefined {
    return this.#streams().find(venue, symbol)?.read;
  }

  readUntil(venue: string, symbol: string, timeUs: number): void {
    const stream = this.#streams().find(venue, symbol);
    if (stream === undefined) return;
    this.#streams().readUntil(stream, timeUs);
    this.#changed();
  }
}

/** @param isUncertain there may have been more that no commit has */
export function readOf(mark: string | undefined, isUncertain: boolean): ReadMark | undefined {
  if (mark === undefined || mark === "") return undefined;
  const read = JSON.parse(mark) as ReadMark;
  return isUncertain ? { ...read, uncertain: true } : read;
}

/** As it is stored. */
export function markOf(read: ReadMark | undefined): string {
  if (read === undefined) return "";
  const { tradeId, exchangeTimeUs, receivedTimeUs, uncertain } = read;
  return JSON.stringify({ tradeId, exchangeTimeUs, receivedTimeUs, uncertain });
}
