/**
 * What brokers with shared subscriptions do: each message goes to a member at once, whatever that one has to do. There
 * is no queue but the members' own; what a lost member held is sent again.
 */
import type { Connection } from "../member/connection.ts";
import type { Answer } from "../member/synthetic-member.ts";
import type { Message } from "../world/message.ts";
import { maxDeliveries, type System, type SystemSurroundings } from "./system.ts";

/** A member as a chooser sees it. */
export interface Target {
  readonly connection: Connection;
  /** Messages sent and not answered, with the time of sending. */
  readonly held: ReadonlyMap<Message, number>;
  /** Its true nominal rate, all places together. */
  readonly weight: number;
}

/** Chooses a member for each message; there is always at least one. */
export interface Chooser {
  choose(targets: readonly Target[]): Target;
  /** A message was answered `latencyMs` after it was sent. */
  answered?(target: Target, latencyMs: number): void;
}

interface OwnTarget extends Target {
  readonly held: Map<Message, number>;
}

export class PushedSystem implements System {
  readonly flaps = 0;
  readonly #chooser: Chooser;
  readonly #surroundings: SystemSurroundings;
  #targets: OwnTarget[] = [];
  /** Rejections so far, of messages that were rejected. */
  readonly #attempts = new Map<Message, number>();
  /** Sent while there was no member. */
  #waiting: Message[] = [];

  constructor(chooser: Chooser, surroundings: SystemSurroundings) {
    this.#chooser = chooser;
    this.#surroundings = surroundings;
  }

  joined(connection: Connection): void {
    const { rate, concurrency } = connection.member.options;
    this.#targets.push({ connection, held: new Map(), weight: rate * concurrency });
    for (const message of this.#waiting.splice(0)) this.offer(message);
  }

  left(connection: Connection): void {
    const lost = this.#targets.find((target) => target.connection === connection);
    this.#targets = this.#targets.filter((target) => target !== lost);
    for (const message of lost?.held.keys() ?? []) this.offer(message);
  }

  heard(): void {}

  offer(message: Message): void {
    if (this.#targets.length === 0) {
      this.#waiting.push(message);
      return;
    }
    const target = this.#chooser.choose(this.#targets) as OwnTarget;
    target.held.set(message, this.#surroundings.timeline.nowMs);
    target.connection.send(message, (answer) => this.#answered(target, message, answer));
  }

  #answered(target: OwnTarget, message: Message, answer: Answer): void {
    const sentMs = target.held.get(message) as number;
    target.held.delete(message);
    this.#chooser.answered?.(target, this.#surroundings.timeline.nowMs - sentMs);
    if (answer === "rejected") this.#rejected(message);
    else this.#attempts.delete(message);
  }

  #rejected(message: Message): void {
    const attempts = (this.#attempts.get(message) ?? 0) + 1;
    this.#attempts.set(message, attempts);
    if (attempts < maxDeliveries) return this.offer(message);
    this.#attempts.delete(message);
    this.#surroundings.ledger.gaveUp(message);
  }
}
