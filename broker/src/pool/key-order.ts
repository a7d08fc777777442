/**
 * Order by key for one backlog: the messages of a key go to one member at a time, first in first out, through
 * redelivery, joins and leaves. A key moves only when nothing of it is in flight.
 *
 * Messages are taken from the backlog in order and parked with their key until they can go: to the key's holder while
 * it has something of the key in flight, else to whoever the strategy picks. So a slow member delays only its own keys,
 * until `maxParked` messages are parked; then the backlog itself waits.
 */
import type { Slice } from "../journal/slice.ts";
import type { Backlog } from "./backlog.ts";
import type { Delivery } from "./delivery.ts";
import { keyOf } from "./key.ts";
import type { Member } from "./member.ts";

export class KeyState {
  readonly name: string;
  holder: Member | undefined;
  inFlight = 0;
  /** Messages of the key that wait, by place. */
  parked: Delivery[] = [];
  #places = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Behind everything of the key. */
  append(delivery: Delivery): void {
    delivery.key = this;
    delivery.place = ++this.#places;
    this.parked.push(delivery);
  }

  /** Back to its place, before whatever came after it. */
  restore(delivery: Delivery): void {
    const at = this.parked.findIndex(({ place }) => place > delivery.place);
    this.parked.splice(at === -1 ? this.parked.length : at, 0, delivery);
  }

  get idle(): boolean {
    return this.inFlight === 0 && this.parked.length === 0;
  }
}

export interface KeyOrderOptions {
  backlog: Backlog;
  /** `topic`, or a top-level field of the JSON record. */
  key: string;
  /** Chooses among eligible members: `nobody` when there is none, `later` when none of them should have this message. */
  choose: (delivery: Delivery) => Member | "later" | "nobody";
  maxParked?: number;
}

const defaultMaxParked = 8_192;

export class KeyOrder {
  readonly #backlog: Backlog;
  readonly #key: string;
  readonly #choose: KeyOrderOptions["choose"];
  readonly #maxParked: number;
  readonly #keys = new Map<string, KeyState>();
  /** Keys with parked messages and nothing in flight: any member may have them. */
  readonly #free = new Set<KeyState>();
  /** Keys with parked messages that wait for credit of their holder. */
  readonly #bound = new Map<Member, Set<KeyState>>();
  /** Messages taken from the backlog that are not in flight. */
  parked = 0;

  constructor(options: KeyOrderOptions) {
    this.#backlog = options.backlog;
    this.#key = options.key;
    this.#choose = options.choose;
    this.#maxParked = options.maxParked ?? defaultMaxParked;
  }

  /** Hands out whatever may go. */
  drain(): void {
    // Copies, because a key that cannot go is filed again where it was.
    for (const [member, states] of [...this.#bound]) {
      for (const state of [...states]) {
        if (!member.eligible) break;
        this.#advance(state);
      }
    }
    for (const state of [...this.#free]) {
      if (!this.#advance(state)) return;
    }
    while (this.parked < this.#maxParked) {
      const delivery = this.#backlog.take();
      if (delivery === undefined) return;
      const state = this.#stateOf(delivery);
      state.append(delivery);
      this.parked++;
      if (!this.#advance(state)) return;
    }
  }

  /** Forgets everything parked; returns how many messages that were. */
  dropParked(): number {
    const dropped = this.parked;
    for (const state of [...this.#keys.values()]) {
      for (const delivery of state.parked.splice(0)) this.#backlog.discard(delivery);
      this.#file(state);
    }
    this.parked = 0;
    return dropped;
  }

  /** Parked messages that any member may have. */
  get ready(): number {
    let ready = 0;
    for (const { parked } of this.#free) ready += parked.length;
    return ready;
  }

  /** Messages that can be parked besides. */
  get room(): number {
    return this.#maxParked - this.parked;
  }

  /** Forgets what is parked of slices that are another broker's to deliver. */
  letGo(gone: (slice: Slice) => boolean): void {
    for (const state of [...this.#keys.values()]) {
      const leaving = state.parked.filter(({ slice }) => gone(slice));
      if (leaving.length === 0) continue;
      state.parked = state.parked.filter(({ slice }) => !gone(slice));
      this.parked -= leaving.length;
      for (const delivery of leaving) this.#backlog.forget(delivery);
      this.#file(state);
    }
  }

  /** A message of a key is settled, or gone for good. */
  done(delivery: Delivery): void {
    const state = delivery.key;
    if (state === undefined) return;
    state.inFlight--;
    this.#file(state);
  }

  /** A message comes back: it is the next of its key again, unless it is another broker's to deliver. */
  giveBack(delivery: Delivery): void {
    const state = delivery.key;
    if (state === undefined) throw new Error("an ordered delivery without a key");
    if (delivery.slice.elsewhere) {
      this.done(delivery);
      return this.#backlog.forget(delivery);
    }
    state.inFlight--;
    delivery.repeated = true;
    delivery.packetId = 0;
    state.restore(delivery);
    this.parked++;
    this.#file(state);
  }

  /** Sends what it can of one key. Returns false when no member at all has credit, so that no other key can go either. */
  #advance(state: KeyState): boolean {
    let anybody = true;
    while (state.parked.length > 0) {
      const delivery = state.parked[0] as Delivery;
      const member = state.inFlight > 0 ? this.#holderOf(state) : this.#choose(delivery);
      if (member === "nobody" || member === "later") {
        anybody = member === "later";
        break;
      }
      state.parked.shift();
      this.parked--;
      state.holder = member;
      // Before sending: a QoS 0 message is done within `take`.
      state.inFlight++;
      member.take(delivery);
    }
    this.#file(state);
    return anybody;
  }

  /** The key's holder, when it can take more of it. */
  #holderOf({ holder }: KeyState): Member | "later" {
    return holder?.eligible === true && holder.subscriptions.has(this.#backlog) ? holder : "later";
  }

  /** Puts a key where the next `drain` will look for it. */
  #file(state: KeyState): void {
    this.#free.delete(state);
    if (state.holder !== undefined) this.#unbind(state.holder, state);
    if (state.idle) this.#keys.delete(state.name);
    else if (state.parked.length === 0) return;
    else if (state.inFlight === 0) this.#free.add(state);
    else if (state.holder !== undefined) this.#bind(state.holder, state);
  }

  #bind(member: Member, state: KeyState): void {
    const states = this.#bound.get(member);
    if (states === undefined) this.#bound.set(member, new Set([state]));
    else states.add(state);
  }

  #unbind(member: Member, state: KeyState): void {
    const states = this.#bound.get(member);
    if (states === undefined) return;
    states.delete(state);
    if (states.size === 0) this.#bound.delete(member);
  }

  #stateOf(delivery: Delivery): KeyState {
    const name = keyOf(delivery.topic, () => delivery.payload, this.#key);
    let state = this.#keys.get(name);
    if (state === undefined) {
      state = new KeyState(name);
      this.#keys.set(name, state);
    }
    return state;
  }
}
