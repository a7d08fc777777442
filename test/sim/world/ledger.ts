/** Book of one run: when each message was to be sent, when its work was really done, and by whom. */
import type { Message } from "./message.ts";

/** A disturbance of the members, and when the last member was well again. */
export interface Disturbance {
  beginMs: number;
  endMs: number;
}

export class Ledger {
  readonly intendedMs: Float64Array;
  /** NaN while not completed. */
  readonly completedMs: Float64Array;
  readonly #ended: Uint8Array;
  #outstanding: number;
  duplicates = 0;
  givenUp = 0;
  /** At most 64; what comes after is not looked at. */
  readonly disturbances: Disturbance[] = [];

  constructor(messages: number) {
    this.intendedMs = new Float64Array(messages);
    this.completedMs = new Float64Array(messages).fill(Number.NaN);
    this.#ended = new Uint8Array(messages);
    this.#outstanding = messages;
  }

  /** Messages neither completed nor given up; those that have not been sent yet are among them. */
  get outstanding(): number {
    return this.#outstanding;
  }

  offered({ id, intendedMs }: Message): void {
    this.intendedMs[id] = intendedMs;
  }

  /** A member has done the work; true when that was the first time. */
  completed({ id }: Message, nowMs: number): boolean {
    if (!Number.isNaN(this.completedMs[id])) {
      this.duplicates++;
      return false;
    }
    this.completedMs[id] = nowMs;
    this.#end(id);
    return true;
  }

  /** The system will not deliver it again. */
  gaveUp({ id }: Message): void {
    if (Number.isNaN(this.completedMs[id])) this.givenUp++;
    this.#end(id);
  }

  isGivenUp(id: number): boolean {
    return this.#ended[id] === 1 && Number.isNaN(this.completedMs[id]);
  }

  disturbed(disturbance: Disturbance): void {
    if (this.disturbances.length < 64) this.disturbances.push(disturbance);
  }

  #end(id: number): void {
    if (this.#ended[id] === 1) return;
    this.#ended[id] = 1;
    this.#outstanding--;
  }
}
