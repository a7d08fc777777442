/**
 * The bound: one queue, no network, and it knows what each message will cost and how fast each member is now. The next
 * message waits for the place where it will be finished first, also when another one is free. The future of the
 * members it does not know.
 */
import { Deque } from "@equipoise/shared";
import type { Connection } from "../member/connection.ts";
import type { Message } from "../world/message.ts";
import type { System, SystemSurroundings } from "./system.ts";

/** How far into its queue it looks for a message that a free place would finish first. */
const maxLookAhead = 64;

interface Place {
  connection: Connection;
  freeMs: number;
}

export class ClairvoyantSystem implements System {
  readonly flaps = 0;
  readonly #surroundings: SystemSurroundings;
  readonly #held = new Map<Connection, Set<Message>>();
  readonly #queue = new Deque<Message>();

  constructor(surroundings: SystemSurroundings) {
    this.#surroundings = surroundings;
  }

  joined(connection: Connection): void {
    this.#held.set(connection, new Set());
    this.#hand();
  }

  left(connection: Connection): void {
    const lost = [...(this.#held.get(connection) ?? [])];
    this.#held.delete(connection);
    for (const message of lost.reverse()) this.#queue.unshift(message);
    this.#hand();
  }

  /** Nothing new to it; but a member may have thawed since. */
  heard(): void {
    this.#hand();
  }

  offer(message: Message): void {
    this.#queue.push(message);
    this.#hand();
  }

  #hand(): void {
    if (this.#queue.length === 0 || !this.#anyPlace()) return;
    const { nowMs } = this.#surroundings.timeline;
    const places = this.#places(nowMs);
    const passed: Message[] = [];
    let free = places.filter(({ freeMs }) => freeMs <= nowMs).length;
    while (free > 0 && passed.length < maxLookAhead) {
      const message = this.#queue.shift();
      if (message === undefined) break;
      const place = best(places, message);
      const now = place !== undefined && place.freeMs <= nowMs;
      if (place !== undefined) place.freeMs += message.demandMs / place.connection.member.speed;
      if (!now) {
        passed.push(message);
        continue;
      }
      free--;
      this.#give(place.connection, message);
    }
    for (const message of passed.reverse()) this.#queue.unshift(message);
  }

  #anyPlace(): boolean {
    for (const { member } of this.#held.keys()) if (member.depth < member.options.concurrency) return true;
    return false;
  }

  #places(nowMs: number): Place[] {
    const places: Place[] = [];
    for (const connection of this.#held.keys()) {
      const { member } = connection;
      if (member.speed === 0) continue;
      for (const freeMs of member.placesFreeMs())
        places.push({ connection, freeMs: Math.max(nowMs, freeMs) });
    }
    return places;
  }

  #give(connection: Connection, message: Message): void {
    const held = this.#held.get(connection) as Set<Message>;
    held.add(message);
    connection.member.receive(message, () => {
      held.delete(message);
      this.#hand();
    });
  }
}

/** Where the message will be finished first, of the places that do not reject it. */
function best(places: readonly Place[], message: Message): Place | undefined {
  let chosen: Place | undefined;
  let earliestMs = Number.POSITIVE_INFINITY;
  for (const place of places) {
    const { member } = place.connection;
    const finishMs = place.freeMs + message.demandMs / member.speed;
    if (finishMs >= earliestMs || member.willReject(message)) continue;
    earliestMs = finishMs;
    chosen = place;
  }
  return chosen;
}
