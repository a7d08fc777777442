/** Numbers in a row, outside V8's heap: however many there are, its garbage collection has one object to look at. */
const firstCapacity = 32;

export class Column {
  #values = new Float64Array(firstCapacity);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length)
      this.#values = new Float64Array(this.#values.buffer.transfer(this.#values.byteLength * 2));
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  /** @throws RangeError when there is none */
  at(index: number): number {
    const value = index < this.#length ? this.#values[index] : undefined;
    if (value === undefined) throw new RangeError(`a column of ${this.#length} has no ${index}`);
    return value;
  }

  /** Gives its memory back at once; it holds nothing any more. */
  free(): void {
    this.#values.buffer.transfer(0);
    this.#length = 0;
  }
}
