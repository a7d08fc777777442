import type { Chooser } from "./chooser.ts";
import type { Delivery } from "./delivery.ts";
import type { Lane } from "./lane.ts";
import type { Member } from "./member.ts";
import type { Candidates } from "./selection.ts";

/** Gives a lane's messages to the members that the chooser picks, for as long as they have credit. */
export class Handout {
  readonly #chooser: Chooser;
  /** Messages given that some member had before. */
  redelivered = 0;

  constructor(chooser: Chooser) {
    this.#chooser = chooser;
  }

  /** Hands out what waits in a lane without order. */
  drain(lane: Lane): void {
    const later: Delivery[] = [];
    let candidates = this.#chooser.candidates(lane.takers);
    while (candidates.eligible.length > 0) {
      const delivery = lane.backlog.take();
      if (delivery === undefined) break;
      const member = this.#choose(lane, candidates, delivery);
      if (typeof member === "string") {
        later.push(delivery);
        if (member === "wait") break;
        continue;
      }
      member.take(delivery);
      if (!member.eligible || candidates.probe) candidates = this.#chooser.candidates(lane.takers);
    }
    for (const delivery of later.reverse()) lane.backlog.putAside(delivery);
  }

  /** The member for a key that nobody holds. */
  chooseForKey(lane: Lane, delivery: Delivery): Member | "later" | "nobody" {
    const candidates = this.#chooser.candidates(lane.takers);
    if (candidates.eligible.length === 0) return "nobody";
    const member = this.#choose(lane, candidates, delivery);
    return member === "wait" ? "nobody" : member;
  }

  #choose(lane: Lane, candidates: Candidates, delivery: Delivery) {
    const member = this.#chooser.choose(lane, candidates, delivery);
    if (typeof member !== "string" && delivery.repeated) this.redelivered++;
    return member;
  }
}
