/**
 * The broker heartbeats that come on one connection, and which of them is its own broker's: in a cluster every broker
 * passes on what the others say, but only its own heartbeat is retained there.
 */
import type { Clock } from "./clock.ts";
import { type BrokerLoad, decodeBrokerLoad } from "./flow.ts";

/** The names of a cluster; more are remembered only to see that it is not clear which is this one's. */
const maxNames = 64;

export class Heard {
  readonly #clock: Clock;
  readonly #loads = new Map<string, { load: BrokerLoad; untilMs: number }>();
  /** Who was retained on this connection's broker. */
  readonly #retained = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes note of a heartbeat; its age counts from now, by this machine's clock alone. */
  note(payload: Uint8Array, retained: boolean): void {
    const load = decodeBrokerLoad(payload);
    if (load === undefined || (this.#loads.size >= maxNames && !this.#loads.has(load.broker))) return;
    if (retained) this.#retained.add(load.broker);
    this.#loads.set(load.broker, { load, untilMs: this.#clock.monotonicMs() + load.lifetimeMs });
  }

  /** The load of the connection's broker; undefined when there is none to be believed, or several. */
  get load(): BrokerLoad | undefined {
    const nowMs = this.#clock.monotonicMs();
    for (const [name, { untilMs }] of this.#loads) if (nowMs > untilMs) this.#loads.delete(name);
    const own = [...this.#loads.values()].filter(({ load }) => this.#retained.has(load.broker));
    const [only, ...others] = own;
    return others.length === 0 ? only?.load : undefined;
  }
}
