/**
 * Answers deliveries in the order they arrived [MQTT-4.6.0-2], in whatever order their handlers finish. One belongs to
 * one connection: packet ids mean nothing on the next.
 */
export interface AnswerWire {
  acknowledge(packetIds: readonly number[]): void;
  reject(packetId: number, reason: string): void;
}

/** The answer that one delivery still owes; exactly one of the two is called, once. */
export interface OwedAnswer {
  acknowledge(): void;
  reject(reason: string): void;
}

type Answer = "owed" | "acknowledge" | { reject: string };

interface Entry {
  packetId: number;
  answer: Answer;
}

export class Acknowledger {
  readonly #wire: AnswerWire;
  readonly #defer: (flush: () => void) => void;
  readonly #entries: Entry[] = [];
  #flushing = false;

  /** @param defer when to send what is due; by default once per turn of the event loop */
  constructor(wire: AnswerWire, defer: (flush: () => void) => void = setImmediate) {
    this.#wire = wire;
    this.#defer = defer;
  }

  /** Takes a place in the order. A QoS 0 delivery has no packet id and is owed nothing. */
  expect(packetId: number | undefined): OwedAnswer {
    if (packetId === undefined) return { acknowledge: () => {}, reject: () => {} };
    const entry: Entry = { packetId, answer: "owed" };
    this.#entries.push(entry);
    return {
      acknowledge: () => this.#settle(entry, "acknowledge"),
      reject: (reason) => this.#settle(entry, { reject: reason }),
    };
  }

  /** Sends every answer that is due now. */
  flush(): void {
    let packetIds: number[] = [];
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      const { packetId, answer } = entry;
      if (answer === "owed") break;
      this.#entries.shift();
      if (answer === "acknowledge") {
        packetIds.push(packetId);
        continue;
      }
      this.#acknowledge(packetIds);
      packetIds = [];
      this.#wire.reject(packetId, answer.reject);
    }
    this.#acknowledge(packetIds);
  }

  #acknowledge(packetIds: readonly number[]): void {
    if (packetIds.length > 0) this.#wire.acknowledge(packetIds);
  }

  #settle(entry: Entry, answer: Answer): void {
    if (entry.answer !== "owed") throw new Error(`delivery ${entry.packetId} was answered twice`);
    entry.answer = answer;
    if (this.#flushing || this.#entries[0] !== entry) return;
    this.#flushing = true;
    this.#defer(() => {
      this.#flushing = false;
      this.flush();
    });
  }
}
