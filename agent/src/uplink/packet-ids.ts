/**
 * Packet identifiers of a connection, shared out: the lower half numbers the messages of ticks, the upper half is left to
 * mqtt.js. So an acknowledgement says by its identifier alone whose it is.
 */
import { Deque } from "@equipoise/shared";
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

/** So many others come before an identifier again, where so many have been used. */
const restingIds = 64;

/**
 * For mqtt.js. As few as it needs at a time: mqtt-packet keeps the bytes of every identifier that it has written, and with
 * all of them in turn an agent would grow for days.
 */
export class ControlIds implements NonNullable<IClientOptions["messageIdProvider"]> {
  readonly #used = new Set<number>();
  readonly #free = new Deque<number>();
  #newest = lastTickId;
  #last = 0;

  /** @returns null while all are in flight; mqtt.js waits for one then */
  allocate(): number | null {
    const id = this.#next();
    if (id === undefined) return null;
    this.#used.add(id);
    this.#last = id;
    return id;
  }

  getLastAllocated(): number {
    return this.#last;
  }

  register(): boolean {
    return true;
  }

  deallocate(id: number): void {
    if (this.#used.delete(id)) this.#free.push(id);
  }

  clear(): void {
    for (const id of this.#used) this.deallocate(id);
  }

  #next(): number | undefined {
    if (this.#free.length > restingIds || this.#newest === lastId) return this.#free.shift();
    this.#newest += 1;
    return this.#newest;
  }
}
