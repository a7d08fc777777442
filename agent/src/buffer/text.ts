/** Records as UTF-8, one behind the other with a line feed behind each, outside V8's heap like a {@link Column}. */
import { Column } from "./column.ts";

const lineFeed = 10;
const minCapacityBytes = 4_096;
/** One batch is about as long as the one before; memory that is not written to costs nothing. */
const spareFactor = 1.25;
/** No UTF-16 unit takes more. */
const maxBytesPerUnit = 3;

export class Text {
  readonly #ends = new Column();
  #bytes: Buffer<ArrayBuffer>;
  #length = 0;

  /** @param expectedBytes it grows well beyond them, at the price of a copy */
  constructor(expectedBytes: number) {
    this.#bytes = Buffer.from(new ArrayBuffer(minCapacityBytes + Math.ceil(expectedBytes * spareFactor)));
  }

  get byteLength(): number {
    return this.#length;
  }

  /** A view, which the next record may end. */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes.buffer.detached) throw new Error("the memory of these records was given back");
    return this.#bytes.subarray(0, this.#length);
  }

  /** @returns how many bytes it takes */
  push(record: string): number {
    const neededBytes = this.#length + record.length * maxBytesPerUnit + 1;
    if (neededBytes > this.#bytes.length) this.#grow(neededBytes);
    const length = this.#bytes.write(record, this.#length) + 1;
    this.#length += length;
    this.#bytes[this.#length - 1] = lineFeed;
    this.#ends.push(this.#length - 1);
    return length;
  }

  /** The record with this index. */
  at(index: number): string {
    const start = index === 0 ? 0 : this.#ends.at(index - 1) + 1;
    return this.#bytes.toString("utf8", start, this.#ends.at(index));
  }

  /** Bytes of the record with this index. */
  bytesAt(index: number): number {
    return this.#ends.at(index) + 1 - (index === 0 ? 0 : this.#ends.at(index - 1) + 1);
  }

  /** Gives its memory back at once; it holds nothing any more. */
  free(): void {
    this.#bytes.buffer.transfer(0);
    this.#ends.free();
  }

  #grow(neededBytes: number): void {
    const capacityBytes = Math.max(neededBytes, this.#bytes.length * 2);
    this.#bytes = Buffer.from(this.#bytes.buffer.transfer(capacityBytes));
  }
}
