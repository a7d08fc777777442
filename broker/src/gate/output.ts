/**
 * What goes out to one socket: gathered during a turn, written once at its end. Buffers come from a small common
 * stock, so an idle connection holds none.
 */
import {
  bodyOf,
  type Chunk,
  publishType,
  remainingLengthSize,
  writeRemainingLength,
} from "../journal/chunk.ts";
import type { Wire } from "../listener/listener.ts";

const smallBytes = 4_096;
const largeBytes = 65_536;
const maxStock = 64;

const stock = { small: [] as Buffer[], large: [] as Buffer[] };

function borrow(large: boolean): Buffer {
  const shelf = large ? stock.large : stock.small;
  return shelf.pop() ?? Buffer.allocUnsafeSlow(large ? largeBytes : smallBytes);
}

function giveBack(buffer: Buffer): void {
  if (buffer.length > largeBytes) return;
  const shelf = buffer.length === largeBytes ? stock.large : stock.small;
  if (shelf.length < maxStock) shelf.push(buffer);
}

/** Longest wait for a client that does not take the last bytes meant for it. */
const lingerMs = 5_000;

export interface SendFlags {
  qos: number;
  dup: boolean;
  retain: boolean;
  packetId: number;
}

export interface OutputOptions {
  /** Called once per turn, when there is something to flush. */
  onDirty: (output: Output) => void;
  /** Answers that the other side need not have taken before `onOverflow`; messages have their own bound. */
  maxAnswerBytes: number;
  /** Everything, answers and messages. */
  maxPendingBytes: number;
  /** The other side asks and asks and does not read the answers. */
  onOverflow: () => void;
}

export class Output {
  readonly #socket: Wire;
  readonly #options: OutputOptions;
  /** Bytes of answers since the other side had last taken everything. */
  #answerBytes = 0;
  #buffer: Buffer | undefined;
  #used = 0;
  #dirty = false;

  constructor(socket: Wire, options: OutputOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Bytes that the other side has not taken yet. */
  get pendingBytes(): number {
    return this.#used + this.#socket.writableLength;
  }

  /** Writes a stored message; layout of the frame in journal/chunk.ts. */
  message(chunk: Chunk, index: number, { qos, dup, retain, packetId }: SendFlags): void {
    const bytes = chunk.bytes as Buffer;
    const start = chunk.starts[index] as number;
    const end = chunk.starts[index + 1] as number;
    const first = publishType | (dup ? 0x08 : 0) | (qos << 1) | (retain ? 1 : 0);
    if (qos === 0) return this.#messageWithoutId(bytes, start, end, first);
    const at = this.#reserve(end - start);
    const to = this.#buffer as Buffer;
    bytes.copy(to, at, start, end);
    to[at] = first;
    const body = bodyOf(to, at);
    const idAt = body + 2 + ((to[body] as number) << 8) + (to[body + 1] as number);
    to[idAt] = packetId >> 8;
    to[idAt + 1] = packetId & 0xff;
  }

  #messageWithoutId(bytes: Buffer, start: number, end: number, first: number): void {
    const body = bodyOf(bytes, start);
    const idAt = body + 2 + ((bytes[body] as number) << 8) + (bytes[body + 1] as number);
    const remaining = end - body - 2;
    let at = this.#reserve(1 + remainingLengthSize(remaining) + remaining);
    const to = this.#buffer as Buffer;
    to[at] = first;
    at = writeRemainingLength(to, at + 1, remaining);
    at += bytes.copy(to, at, body, idAt);
    bytes.copy(to, at, idAt + 2, end);
  }

  /** Writes PUBACK, PUBREC, PUBREL or PUBCOMP. */
  acknowledgement(first: number, packetId: number): void {
    this.#answerBytes += 4;
    const at = this.#reserve(4);
    const to = this.#buffer as Buffer;
    to[at] = first;
    to[at + 1] = 2;
    to[at + 2] = packetId >> 8;
    to[at + 3] = packetId & 0xff;
  }

  /** Writes a whole frame as it is. */
  frame(bytes: Uint8Array): void {
    this.#answerBytes += bytes.length;
    const at = this.#reserve(bytes.length);
    (this.#buffer as Buffer).set(bytes, at);
  }

  /** Hands everything gathered to the socket. */
  flush(): void {
    this.#dirty = false;
    const buffer = this.#buffer;
    if (buffer === undefined || this.#used === 0) return;
    this.#socket.write(buffer.subarray(0, this.#used), () => giveBack(buffer));
    this.#buffer = undefined;
    this.#used = 0;
    this.#checkBound();
  }

  /** Sends what is gathered, then ends; what still comes in is thrown away. */
  end(): void {
    const socket = this.#socket;
    this.flush();
    socket.removeAllListeners("data");
    socket.resume();
    socket.setTimeout(lingerMs, () => socket.destroy());
    socket.destroySoon();
  }

  #checkBound(): void {
    const { maxAnswerBytes, maxPendingBytes, onOverflow } = this.#options;
    if (this.#socket.writableLength === 0) this.#answerBytes = 0;
    if (this.#answerBytes > maxAnswerBytes && this.pendingBytes > maxPendingBytes) onOverflow();
  }

  /** Room for `size` bytes in `#buffer`; returns where it begins. */
  #reserve(size: number): number {
    if (!this.#dirty) {
      this.#dirty = true;
      this.#options.onDirty(this);
    }
    if (this.#buffer === undefined || this.#used + size > this.#buffer.length) this.#renew(size);
    const at = this.#used;
    this.#used += size;
    return at;
  }

  #renew(size: number): void {
    const old = this.#buffer;
    const wanted = this.#used + size;
    if (wanted <= largeBytes) {
      this.#buffer = borrow(wanted > smallBytes);
      if (old === undefined) return;
      old.copy(this.#buffer, 0, 0, this.#used);
      giveBack(old);
      return;
    }
    const dirty = this.#dirty;
    this.flush();
    this.#dirty = dirty;
    this.#buffer = size > largeBytes ? Buffer.allocUnsafeSlow(size) : borrow(true);
  }
}
