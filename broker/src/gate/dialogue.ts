/** The talk with aedes about one connection: one packet at a time, each after the answer to the last. */
import { ControlChannel, type ControlOwner } from "./control.ts";
import type { FilterExchange } from "./filters.ts";

export interface DialogueOwner {
  /** An answer for the client. */
  onAnswer(frame: Buffer): void;
  /** Calls back when what was subscribed to is as safe as the answer promises. */
  whenKept(done: () => void): void;
  /** The packet is dealt with; the next may be asked. */
  onAnswered(): void;
  /** Aedes has ended the connection. */
  onControlClosed(): void;
}

export class Dialogue<Owner extends DialogueOwner = DialogueOwner> implements ControlOwner {
  readonly owner: Owner;
  /** What aedes takes for the socket. */
  readonly channel: ControlChannel;
  #exchange: FilterExchange | undefined;
  #asking = false;

  constructor(owner: Owner) {
    this.owner = owner;
    this.channel = new ControlChannel(this);
  }

  /** A packet is not answered yet. */
  get asking(): boolean {
    return this.#asking;
  }

  /** The SUBSCRIBE or UNSUBSCRIBE that is being asked about. */
  get exchange(): FilterExchange | undefined {
    return this.#exchange;
  }

  ask(frame: Buffer): void {
    this.#asking = true;
    this.channel.feed(frame);
  }

  /** Asks for one filter after another and answers for all. */
  askEach(exchange: FilterExchange): void {
    this.#asking = true;
    this.#exchange = exchange;
    process.nextTick(() => this.#askNext(exchange));
  }

  #askNext(exchange: FilterExchange): void {
    if (this.channel.destroyed) return;
    const frame = exchange.next();
    if (frame !== undefined) return this.channel.feed(frame);
    this.#exchange = undefined;
    this.owner.whenKept(() => {
      this.owner.onAnswer(exchange.answer());
      this.#answered();
    });
  }

  onAnswer(frame: Buffer): void {
    const exchange = this.#exchange;
    // Aedes tells of subscriptions just after it has written its answer: they come before what follows.
    if (exchange === undefined) {
      this.owner.onAnswer(frame);
      process.nextTick(() => this.#answered());
      return;
    }
    exchange.answered(frame);
    // A packet of many filters must not keep everybody else waiting.
    const later = exchange.size === 1 ? process.nextTick : setImmediate;
    later(() => this.#askNext(exchange));
  }

  #answered(): void {
    if (this.channel.destroyed || !this.#asking) return;
    this.#asking = false;
    this.owner.onAnswered();
  }

  onControlClosed(): void {
    this.owner.onControlClosed();
  }
}
