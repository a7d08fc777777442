/** Lines out of chunks of bytes, in bounded memory. */

/** Stands for a line that was longer than allowed; its text is not kept. */
export const tooLong = Symbol("too long");
export type Line = string | typeof tooLong;

const lineFeed = 10;
const carriageReturn = 13;

/**
 * The lines of each chunk together, so that a reader need not await for every line; they are to be read before the next
 * ones are asked for. A last line without an end counts; carriage returns before line feeds are dropped; empty lines are
 * kept, for line numbers.
 */
export async function* lineBatches(
  chunks: AsyncIterable<Uint8Array>,
  maxLineBytes: number,
): AsyncGenerator<Iterable<Line>> {
  const splitter = new Splitter(maxLineBytes);
  for await (const { buffer, byteOffset, byteLength } of chunks)
    yield splitter.lines(Buffer.from(buffer, byteOffset, byteLength));
  yield splitter.last();
}

/** Each line becomes a text of its own: as parts of the chunk's text all would outlive V8's young generation with it. */
class Splitter {
  readonly #maxBytes: number;
  /** The beginning of a line whose end has not come yet. */
  #rest = Buffer.alloc(0);
  #restBytes = 0;
  #skipping = false;

  constructor(maxLineBytes: number) {
    this.#maxBytes = maxLineBytes;
  }

  *lines(chunk: Buffer): IterableIterator<Line> {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
      if (start > 0) yield this.#line(chunk, start, end);
      else yield this.#completed(chunk.subarray(0, end));
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  *last(): IterableIterator<Line> {
    if (this.#skipping || this.#restBytes > 0) yield this.#completed(Buffer.alloc(0));
  }

  #line(bytes: Buffer, start: number, end: number): Line {
    const to = end > start && bytes[end - 1] === carriageReturn ? end - 1 : end;
    return to - start > this.#maxBytes ? tooLong : bytes.toString("utf8", start, to);
  }

  #completed(part: Buffer): Line {
    this.#keep(part);
    const line = this.#skipping ? tooLong : this.#line(this.#rest, 0, this.#restBytes);
    this.#skipping = false;
    this.#rest = Buffer.alloc(0);
    this.#restBytes = 0;
    return line;
  }

  #keep(part: Buffer): void {
    const neededBytes = this.#restBytes + part.length;
    // One more may be a carriage return.
    if (neededBytes > this.#maxBytes + 1) this.#skipping = true;
    if (this.#skipping) return;
    if (neededBytes > this.#rest.length) {
      const larger = Buffer.alloc(Math.max(neededBytes, this.#rest.length * 2));
      this.#rest.copy(larger, 0, 0, this.#restBytes);
      this.#rest = larger;
    }
    part.copy(this.#rest, this.#restBytes);
    this.#restBytes = neededBytes;
  }
}
