/** One connection of a member: carries messages and answers, in order, until it ends. */
import type { Message } from "../world/message.ts";
import type { Timeline } from "../world/timeline.ts";
import type { Answer, SyntheticMember } from "./synthetic-member.ts";

export class Connection {
  readonly member: SyntheticMember;
  readonly #timeline: Timeline;
  #open = true;
  #lastOutMs = 0;
  #lastBackMs = 0;

  constructor(member: SyntheticMember, timeline: Timeline) {
    this.member = member;
    this.#timeline = timeline;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Both ways: what is on the way is lost. */
  close(): void {
    this.#open = false;
  }

  /** Sends a message; `answered` is called when its answer has come back, or never. */
  send(message: Message, answered: (answer: Answer) => void): void {
    const { member } = this;
    const answer = (text: Answer): void => {
      this.#lastBackMs = this.#carry(this.#lastBackMs, message.backMs, () => answered(text));
    };
    this.#lastOutMs = this.#carry(this.#lastOutMs, message.outMs, () =>
      member.receive(message, answer, () => answer("acknowledged")),
    );
  }

  /** Arrives after `delayMs`, but never before what was sent earlier; returns when. */
  #carry(lastMs: number, delayMs: number, arrived: () => void): number {
    const { nowMs } = this.#timeline;
    const atMs = Math.max(nowMs + delayMs, lastMs);
    this.#timeline.after(atMs - nowMs, () => {
      if (this.#open) arrived();
    });
    return atMs;
  }
}
