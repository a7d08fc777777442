/** Failed attempts per address, in a sliding window: who guesses passwords is turned away at the door. */
import type { Clock } from "@equipoise/shared";

export interface FailureLimits {
  /** Failed attempts of one address within the window; from then on it is refused. 0 refuses nobody. */
  maxFailures: number;
  windowMs: number;
}

/** Addresses remembered; at the bound the one that failed longest ago is forgotten. */
const maxAddresses = 10_000;

export class Failures {
  readonly #limits: FailureLimits;
  readonly #clock: Clock;
  /** Times of the newest failures of an address, oldest first; addresses in the order of their last failure. */
  readonly #failedMs = new Map<string, number[]>();

  constructor(limits: FailureLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  record(address: string): void {
    const { maxFailures } = this.#limits;
    if (maxFailures === 0) return;
    const key = addressKey(address);
    const times = this.#failedMs.get(key) ?? [];
    times.push(this.#clock.monotonicMs());
    if (times.length > maxFailures) times.shift();
    this.#failedMs.delete(key);
    this.#failedMs.set(key, times);
    const oldest = this.#failedMs.keys().next().value;
    if (this.#failedMs.size > maxAddresses && oldest !== undefined) this.#failedMs.delete(oldest);
  }

  /** True while an address has failed too often. */
  blocks(address: string): boolean {
    const { maxFailures, windowMs } = this.#limits;
    const key = addressKey(address);
    const times = this.#failedMs.get(key);
    if (times === undefined) return false;
    const now = this.#clock.monotonicMs();
    if (now - (times.at(-1) ?? 0) >= windowMs) this.#failedMs.delete(key);
    return times.length >= maxFailures && now - (times[0] ?? 0) < windowMs;
  }
}

/**
 * Who is counted as one: an IPv4 address, also where it comes mapped into IPv6, or the /64 network of an IPv6 address,
 * in which a single device may choose its address freely.
 */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(address);
  if (mapped !== null) return mapped[1] as string;
  if (!address.includes(":")) return address;
  const [head = "", tail] = (address.split("%")[0] as string).split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill("0"), ...right];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
