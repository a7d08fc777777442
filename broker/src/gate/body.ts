/** Reads the fields of a control packet's body and refuses what MQTT forbids in them. */
import { isUtf8 } from "node:buffer";
import { Fault } from "./fault.ts";

export class BodyReader {
  readonly #bytes: Buffer;
  #at: number;

  /** @param bytes one whole packet, read from `at` on */
  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Where the next field begins. */
  get at(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** @throws Fault malformed */
  byte(what: string): number {
    return this.#take(1, what)[0] as number;
  }

  /** @throws Fault malformed */
  number(what: string): number {
    return this.#take(2, what).readUInt16BE(0);
  }

  /** Bytes behind their length. @throws Fault malformed */
  binary(what: string): Buffer {
    return this.#take(this.number(what), what);
  }

  /**
   * A UTF-8 string behind its length; U+FEFF is kept [MQTT-1.5.3-3].
   * @throws Fault malformed, also for surrogates and U+0000 [MQTT-1.5.3-1] [MQTT-1.5.3-2]
   */
  text(what: string): string {
    const bytes = this.binary(what);
    if (!isUtf8(bytes)) throw new Fault("malformed", `${what} that is not UTF-8 [MQTT-1.5.3-1]`);
    if (bytes.includes(0)) throw new Fault("malformed", `${what} with U+0000 [MQTT-1.5.3-2]`);
    return bytes.toString();
  }

  /** @throws Fault malformed when bytes are left */
  end(what: string): void {
    if (!this.atEnd)
      throw new Fault("malformed", `${what} with ${this.#bytes.length - this.#at} bytes too many`);
  }

  #take(size: number, what: string): Buffer {
    const end = this.#at + size;
    if (end > this.#bytes.length) throw new Fault("malformed", `a packet that ends within ${what}`);
    const field = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return field;
  }
}
