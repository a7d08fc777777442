/**
 * Decides when an agent with several brokers moves from one to another. It hears the heartbeats of its own broker all
 * the time and looks at the others now and then. It moves only to one that is clearly better, and so that a fleet that
 * sees the same thing does not do the same thing: looks and moves are spread over time, each look leads to a move only
 * with a probability, the reason is looked at again just before the move, and whoever has moved stays for a while.
 * A broker that says it is leaving is left without all that, within a second. Brokers of a cluster are not looked at: with
 * its own client id the agent would end its own connection, and what waits there is the same at all of them. There only
 * one that leaves, or has lost the engine, is left, for any other.
 */
import { type BrokerLoad, type Clock, compareLoads, isClearlyBetter } from "@equipoise/shared";

export interface MoverOptions {
  /** How many brokers there are; they are known by their index. */
  brokers: number;
  /** Looks at another broker; undefined when that one could not be used. Never rejects. */
  observe: (index: number) => Promise<BrokerLoad | undefined>;
  move: (index: number, reason: string) => void;
  /** Goes to any other broker, which has not been looked at. */
  leave: (reason: string) => void;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
}

export const moverTimes = {
  /** Between two looks at the others while all is well: half to one and a half of it. */
  lookPeriodMs: 300_000,
  /** The same while the own broker is pressed or degraded. */
  troubledLookPeriodMs: 60_000,
  /** A broker is in trouble when it has been pressed or degraded for this long. */
  troubledAfterMs: 5_000,
  /** The first looks at the others are spread over this time then. */
  firstLookWithinMs: 20_000,
  /** A move comes at any time of this after its decision. */
  moveWithinMs: 30_000,
  /** Least time at a broker: one to two times this. */
  minStayMs: 60_000,
  /** Who leaves a broker that goes away does so within this time. */
  leaveWithinMs: 1_000,
} as const;

/** How many of those who could move do so after one look. */
const moveShare = 0.25;
/** Weight of one heartbeat in the smoothed `busy`; one message more or less is no reason to move. */
const smoothing = 0.2;
/** So many lost connections while looking at one broker show that both names are of the same one. */
const maxCoincidences = 2;

interface Seen {
  index: number;
  load: BrokerLoad;
}

export class Mover {
  readonly #options: MoverOptions;
  #at: number | undefined;
  #own: { load: BrokerLoad; untilMs: number } | undefined;
  #stayUntilMs = 0;
  #troubledSinceMs: number | undefined;
  /** Why it has looked at the others out of turn. */
  #hurried: "trouble" | "leaving" | undefined;
  #observing: number | undefined;
  /** How often the own connection was lost during the observation of a broker, as if by a takeover of the client id. */
  readonly #coincidences = new Map<number, number>();
  #cancelLook = (): void => {};
  #cancelMove = (): void => {};

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  connected(index: number): void {
    this.#reset(index);
    const { clock, random } = this.#options;
    this.#stayUntilMs = clock.monotonicMs() + moverTimes.minStayMs * (1 + random());
    this.#lookLater();
  }

  disconnected(): void {
    const index = this.#observing;
    if (index !== undefined) this.#coincidences.set(index, (this.#coincidences.get(index) ?? 0) + 1);
    this.#reset(undefined);
  }

  /** No more looks and moves until there is another connection. */
  stop(): void {
    this.#reset(undefined);
  }

  /** The own broker has told its load. */
  heard(load: BrokerLoad): void {
    if (this.#at === undefined) return;
    const nowMs = this.#options.clock.monotonicMs();
    const before = this.#ownLoad?.busy ?? load.busy;
    const busy = before + (load.busy - before) * smoothing;
    this.#own = { load: { ...load, busy }, untilMs: nowMs + load.lifetimeMs };
    if (load.welcome === "open") {
      this.#troubledSinceMs = undefined;
      this.#hurried = undefined;
      return;
    }
    this.#troubledSinceMs ??= nowMs;
    if (load.leaving && this.#hurried !== "leaving") this.#hurry("leaving", moverTimes.leaveWithinMs);
    if (this.#isTroubled && this.#hurried === undefined) {
      this.#hurry("trouble", moverTimes.firstLookWithinMs);
    }
  }

  get #ownLoad(): BrokerLoad | undefined {
    const own = this.#own;
    return own !== undefined && this.#options.clock.monotonicMs() <= own.untilMs ? own.load : undefined;
  }

  get #isTroubled(): boolean {
    const sinceMs = this.#troubledSinceMs;
    return sinceMs !== undefined && this.#options.clock.monotonicMs() - sinceMs >= moverTimes.troubledAfterMs;
  }

  #reset(at: number | undefined): void {
    this.#cancelLook();
    this.#cancelMove();
    this.#at = at;
    this.#own = undefined;
    this.#troubledSinceMs = undefined;
    this.#hurried = undefined;
    this.#observing = undefined;
  }

  #hurry(reason: "trouble" | "leaving", withinMs: number): void {
    this.#hurried = reason;
    this.#lookAfter(withinMs * this.#options.random());
  }

  #lookLater(): void {
    const { lookPeriodMs, troubledLookPeriodMs } = moverTimes;
    const periodMs = this.#isTroubled ? troubledLookPeriodMs : lookPeriodMs;
    this.#lookAfter(periodMs * (0.5 + this.#options.random()));
  }

  #lookAfter(delayMs: number): void {
    this.#cancelLook();
    this.#cancelLook = this.#options.clock.after(delayMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const settled = this.#options.clock.monotonicMs() >= this.#stayUntilMs;
    const own = this.#ownLoad;
    if (!settled && own?.leaving !== true) return this.#lookLater();
    if (own?.cluster === true) return this.#considerLeaving(own);
    const look = { stale: false };
    // Whatever is scheduled meanwhile takes the place of this look.
    this.#cancelLook = () => {
      look.stale = true;
    };
    const best = await this.#bestOther(look);
    if (look.stale) return;
    if (best !== undefined) this.#consider(best);
    this.#lookLater();
  }

  /** One after the other, the best of them. */
  async #bestOther(look: { stale: boolean }): Promise<Seen | undefined> {
    let best: Seen | undefined;
    for (let index = 0; index < this.#options.brokers && !look.stale; index++) {
      if (index === this.#at || (this.#coincidences.get(index) ?? 0) >= maxCoincidences) continue;
      this.#observing = index;
      const load = await this.#options.observe(index);
      if (look.stale) return undefined;
      this.#observing = undefined;
      this.#coincidences.delete(index);
      if (load !== undefined && (best === undefined || compareLoads(load, best.load) < 0)) {
        best = { index, load };
      }
    }
    return best;
  }

  #considerLeaving({ leaving, welcome }: BrokerLoad): void {
    this.#lookLater();
    if (leaving) return this.#options.leave("leaving");
    if (welcome === "refuses" && this.#isTroubled) this.#options.leave(welcome);
  }

  #consider({ index, load }: Seen): void {
    const { clock, random, move } = this.#options;
    const own = this.#ownLoad;
    if (own === undefined || !isClearlyBetter(load, own)) return;
    if (own.leaving) return move(index, "leaving");
    if (random() >= moveShare) return;
    this.#cancelMove();
    this.#cancelMove = clock.after(moverTimes.moveWithinMs * random(), () => this.#moveIfStill(index, load));
  }

  /** Others have perhaps left meanwhile, so that the own broker is well again. */
  #moveIfStill(index: number, load: BrokerLoad): void {
    const own = this.#ownLoad;
    if (own === undefined || !isClearlyBetter(load, own)) return;
    this.#options.move(index, own.welcome === "open" ? "busy" : own.welcome);
  }
}
