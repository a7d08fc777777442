/** The stream that aedes takes for a client's socket: control packets go in, its answers come out as whole frames. */
import { Duplex } from "node:stream";
import { FrameReader } from "./frame.ts";

/** Whoever owns the real socket. */
export interface ControlOwner {
  /** Aedes has answered; the frame may be kept. */
  onAnswer(frame: Buffer): void;
  /** Aedes has ended the connection. */
  onControlClosed(): void;
}

const maxAnswerBytes = 65_536;

export class ControlChannel extends Duplex {
  readonly owner: ControlOwner;
  readonly #answers: FrameReader;

  constructor(owner: ControlOwner) {
    super({ allowHalfOpen: false });
    this.owner = owner;
    this.#answers = new FrameReader(maxAnswerBytes, (bytes, start, _body, end) => {
      owner.onAnswer(bytes.subarray(start, end));
      return true;
    });
  }

  /** Gives aedes a packet of the client. */
  feed(frame: Buffer): void {
    this.push(frame);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#answers.push(chunk);
    done();
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    // The owner knows why; a destroyed channel that reports errors again would only be logged twice.
    done(null);
    this.owner.onControlClosed();
  }
}
