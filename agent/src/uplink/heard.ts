/** The broker heartbeats that come on one connection, and whose broker it is. */
import { type BrokerLoad, type Clock, decodeBrokerLoad } from "@equipoise/shared";

/** One broker says one name; more are remembered only to see that it is not clear which is this one's. */
const maxNames = 8;

export class Heard {
  readonly #clock: Clock;
  readonly #loads = new Map<string, { load: BrokerLoad; untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes note of a heartbeat; its age counts from now, by this machine's clock alone. */
  note(payload: Uint8Array): void {
    const load = decodeBrokerLoad(payload);
    if (load === undefined || (this.#loads.size >= maxNames && !this.#loads.has(load.broker))) return;
    this.#loads.set(load.broker, { load, untilMs: this.#clock.monotonicMs() + load.lifetimeMs });
  }

  /** The load of the connection's broker; undefined when there is none to be believed, or several. */
  get load(): BrokerLoad | undefined {
    const nowMs = this.#clock.monotonicMs();
    for (const [name, { untilMs }] of this.#loads) if (nowMs > untilMs) this.#loads.delete(name);
    const [only, ...others] = this.#loads.values();
    return others.length === 0 ? only?.load : undefined;
  }
}
