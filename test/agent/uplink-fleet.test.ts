/** A fleet of agents in virtual time: the real decision to move, brokers that are pressed beyond their capacity. */
import type { BrokerLoad } from "@equipoise/shared";
import { test } from "tap";
import { Mover } from "../../agent/src/uplink/mover.ts";
import { seededRandom } from "../support/random.ts";
import { FakeClock } from "./support.ts";

const agents = 200;
const stepMs = 250;
const heartbeatEveryMs = 1_000;

/** Pressed like a backlog: beyond its capacity it fills, and it is relieved at half. */
class Broker {
  state: "up" | "draining" = "up";
  up = true;
  capacity: number;
  agents = 0;
  #backlog = 0;
  #pressed = false;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** A backlog of 100 is the bound; an agent too many fills it by 1 in ten seconds. */
  pass(): void {
    this.#backlog = Math.min(
      100,
      Math.max(0, this.#backlog + ((this.agents - this.capacity) * stepMs) / 10_000),
    );
    if (this.#backlog > 80) this.#pressed = true;
    if (this.#backlog < 50) this.#pressed = false;
  }

  load(): BrokerLoad {
    const draining = this.state === "draining";
    return {
      broker: "any",
      welcome: draining ? "refuses" : this.#pressed ? "pressed" : "open",
      leaving: draining,
      cluster: false,
      busy: this.#backlog > 0 ? 1 : this.agents / this.capacity,
      backlog: this.#backlog,
      lifetimeMs: 3_000,
    };
  }
}

class Fleet {
  readonly clock = new FakeClock();
  readonly brokers: Broker[];
  readonly movers: Mover[];
  readonly at: number[];
  /** When each move was, in ms. */
  readonly moves: number[] = [];
  #observing = 0;
  mostObserving = 0;

  constructor(capacities: number[], place: (agent: number) => number) {
    this.brokers = capacities.map((capacity) => new Broker(capacity));
    this.at = Array.from({ length: agents }, (_, agent) => place(agent));
    this.movers = this.at.map((index, agent) => this.#createMover(agent, index));
  }

  /** Lets time pass. Agents that are connected hear their broker every second, each at its own time. */
  async run(forMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < forMs; passedMs += stepMs) {
      for (const broker of this.brokers) broker.pass();
      const phase = (this.clock.monotonicMs() % heartbeatEveryMs) / stepMs;
      for (const [agent, mover] of this.movers.entries()) {
        if (agent % (heartbeatEveryMs / stepMs) === phase) mover.heard(this.brokerOf(agent).load());
      }
      this.clock.advance(stepMs);
      await new Promise(setImmediate);
    }
  }

  brokerOf(agent: number): Broker {
    return this.brokers[this.at[agent] ?? 0] as Broker;
  }

  get spread(): number[] {
    return this.brokers.map(({ agents }) => agents);
  }

  /** Most moves within any second, as a share of the fleet. */
  mostWithinSecond(): number {
    const counts = this.moves.map(
      (from) => this.moves.filter((at) => at >= from && at < from + 1_000).length,
    );
    return Math.max(0, ...counts) / agents;
  }

  #createMover(agent: number, index: number): Mover {
    const broker = this.brokers[index] as Broker;
    broker.agents += 1;
    const mover = new Mover({
      brokers: this.brokers.length,
      clock: this.clock,
      random: seededRandom(agent + 1),
      observe: (other) => this.#observe(other),
      move: (other) => this.#move(agent, other),
      leave: () => {},
    });
    mover.connected(index);
    return mover;
  }

  async #observe(index: number): Promise<BrokerLoad | undefined> {
    this.#observing += 1;
    this.mostObserving = Math.max(this.mostObserving, this.#observing);
    await new Promise<void>((resolve) => this.clock.after(stepMs, resolve));
    this.#observing -= 1;
    const broker = this.brokers[index] as Broker;
    return broker.up ? broker.load() : undefined;
  }

  #move(agent: number, index: number): void {
    const to = this.brokers[index] as Broker;
    if (!to.up) return;
    this.moves.push(this.clock.monotonicMs());
    this.brokerOf(agent).agents -= 1;
    to.agents += 1;
    this.at[agent] = index;
    this.movers[agent]?.disconnected();
    this.movers[agent]?.connected(index);
  }
}

const minutes = 60_000;

test("a fleet leaves a pressed broker a few agents at a time and comes to rest", async (t) => {
  const fleet = new Fleet([20, 120, 120], (agent) => agent % 3);
  await fleet.run(30 * minutes);
  const [small = 0] = fleet.spread;
  t.ok(small <= 20, `the pressed broker keeps what it can take: ${fleet.spread}`);
  t.ok(fleet.mostWithinSecond() <= 0.02, `at most ${fleet.mostWithinSecond() * 100} % move within a second`);
  t.ok(fleet.moves.length < agents, `${fleet.moves.length} moves of ${agents} agents`);
  const settledMs = fleet.moves.at(-1) ?? 0;
  t.comment(
    `spread ${fleet.spread}, ${fleet.moves.length} moves, the last after ${settledMs / 1_000} s, at most ${fleet.mostWithinSecond() * 100} % within a second, at most ${fleet.mostObserving} looks at once`,
  );
  const before = fleet.moves.length;
  await fleet.run(60 * minutes);
  t.ok(
    fleet.moves.length - before <= agents * 0.02,
    `${fleet.moves.length - before} moves in the hour after that`,
  );
});

test("a broker that comes back empty takes agents until the others are not busy any more", async (t) => {
  const fleet = new Fleet([110, 110, 110], (agent) => 1 + (agent % 2));
  await fleet.run(90 * minutes);
  const [back = 0] = fleet.spread;
  t.ok(back >= 20, `it has ${back} agents`);
  t.ok(fleet.mostWithinSecond() <= 0.02, `at most ${fleet.mostWithinSecond() * 100} % within a second`);
  t.ok(Math.max(...fleet.spread) <= 110 * 0.85, `the others are relieved: ${fleet.spread}`);
  t.comment(`spread ${fleet.spread}, ${fleet.moves.length} moves`);
});

test("a broker that drains is left by all within two seconds, not at one moment", async (t) => {
  const fleet = new Fleet([120, 120, 120], (agent) => agent % 3);
  await fleet.run(3 * minutes);
  t.same(fleet.moves, [], "nobody moves while all is well");
  (fleet.brokers[0] as Broker).state = "draining";
  // Heartbeats take up to a second to say so.
  await fleet.run(2_000 + 10 * stepMs);
  t.equal(fleet.spread[0], 0);
  t.equal(fleet.moves.length, Math.ceil(agents / 3));
  t.ok(new Set(fleet.moves).size >= 4, "spread over that time");
  t.comment(`spread ${fleet.spread}, at most ${fleet.mostWithinSecond() * 100} % within a second`);
  await fleet.run(30 * minutes);
  t.equal(fleet.moves.length, Math.ceil(agents / 3), "and nobody comes back to it");
});

test("where every broker is pressed, or the others are away, everybody stays", async (t) => {
  const all = new Fleet([20, 20, 20], (agent) => agent % 3);
  await all.run(20 * minutes);
  t.ok(all.moves.length <= agents * 0.05, `${all.moves.length} moves`);
  const alone = new Fleet([20, 120, 120], (agent) => (agent < 60 ? 0 : 1));
  for (const broker of alone.brokers.slice(1)) broker.up = false;
  await alone.run(10 * minutes);
  t.same(alone.moves, []);
});
