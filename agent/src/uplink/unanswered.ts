/**
 * Tells a broker that has lost a message from one that withholds its PUBACKs, which is how brokers slow an agent down. A
 * broker acknowledges in the order in which it received [MQTT-4.6.0-2], so a message that younger ones have overtaken is
 * lost; while nothing at all is acknowledged only time can tell.
 */
import type { Message } from "./batches.ts";

/** For a broker that does not keep the order quite so strictly. */
export const overtakenMs = 10_000;

export class Unanswered {
  readonly #ackTimeoutMs: number;
  /** {@link Message.order} of the newest that was acknowledged on this connection. */
  #newestOrder = 0;
  #heardMs = 0;

  /** @param ackTimeoutMs how long a broker may acknowledge nothing at all */
  constructor(ackTimeoutMs: number) {
    this.#ackTimeoutMs = ackTimeoutMs;
  }

  /** There is a new connection. */
  reset(): void {
    this.#newestOrder = 0;
    this.#heardMs = 0;
  }

  /** @param nowMs monotonic */
  acknowledged({ order }: Message, nowMs: number): void {
    this.#newestOrder = Math.max(this.#newestOrder, order);
    this.#heardMs = nowMs;
  }

  /**
   * Why there is nothing to wait for any more, or undefined.
   * @param oldest without its PUBACK
   * @param nowMs monotonic
   */
  reason(oldest: Message, nowMs: number): string | undefined {
    const waitedMs = nowMs - oldest.sentMs;
    if (oldest.order < this.#newestOrder && waitedMs >= overtakenMs) {
      return `a message was not acknowledged within ${overtakenMs} ms, later ones were`;
    }
    if (nowMs - Math.max(this.#heardMs, oldest.sentMs) < this.#ackTimeoutMs) return undefined;
    return `nothing was acknowledged for ${this.#ackTimeoutMs} ms`;
  }
}
