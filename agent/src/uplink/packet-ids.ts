/**
 * Packet identifiers of a connection, shared out: the lower half numbers the messages of ticks, the upper half is left to
 * mqtt.js. So an acknowledgement says by its identifier alone whose it is.
 */
import type { IClientOptions } from "mqtt";

export const lastTickId = 32_767;
const lastId = 65_535;

/** The messages that wait for their PUBACK, by packet identifier. */
export class TickIds<T> {
  readonly #waiting: (T | undefined)[] = new Array(lastTickId + 1).fill(undefined);
  #last = 0;
  #size = 0;

  /** The identifier that has been free for longest, so that a repeated PUBACK finds nobody. */
  allocate(message: T): number {
    if (this.#size === lastTickId) throw new Error("a window is smaller than the packet identifiers");
    do this.#last = this.#last === lastTickId ? 1 : this.#last + 1;
    while (this.#waiting[this.#last] !== undefined);
    this.#waiting[this.#last] = message;
    this.#size += 1;
    return this.#last;
  }

  /** Returns the message whose PUBACK came; undefined when none waits for this one. */
  release(packetId: number): T | undefined {
    const message = this.#waiting[packetId];
    if (message === undefined) return undefined;
    this.#waiting[packetId] = undefined;
    this.#size -= 1;
    return message;
  }

  /** None is waited for any more. */
  clear(): void {
    this.#waiting.fill(undefined);
    this.#size = 0;
  }
}

/** For mqtt.js, which has few in flight and, as with its own provider, none that lasts a whole round. */
export class ControlIds implements NonNullable<IClientOptions["messageIdProvider"]> {
  #last = lastId;

  allocate(): number {
    this.#last = this.#last === lastId ? lastTickId + 1 : this.#last + 1;
    return this.#last;
  }

  getLastAllocated(): number {
    return this.#last;
  }

  register(): boolean {
    return true;
  }

  deallocate(): void {}

  clear(): void {}
}
