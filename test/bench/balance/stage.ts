/** A broker, a publisher and the members of one pool, each a process of its own. */
import { setTimeout as sleep } from "node:timers/promises";
import { settle } from "../load/settle.ts";
import { Cleanup } from "../subject/cleanup.ts";
import { pooledTopics, poolFilter, poolName } from "../subject/equipoise.ts";
import type { Subject } from "../subject/subject.ts";
import { AskedProcess } from "./asked-process.ts";
import { Completions } from "./completions.ts";
import type { MemberQuestion, MemberReport, PublisherQuestion, Sent } from "./questions.ts";

const topic = `${pooledTopics}/0`;
/** A member alone is given so much to do. */
const aloneMs = 900;
/** The first part of it, with everything still cold, does not count. */
const coldShare = 0.2;
const pollMs = 50;
/** A broker that drops would else cost more time than it is measured for. */
const patienceMs = 2_000;

export interface Offer {
  /** Messages a second. */
  rate: number;
  durationMs: number;
  seed: number;
}

export interface Run extends Sent {
  completions: Completions;
}

export class Stage {
  readonly #subject: Subject;
  readonly #servicesMs: readonly number[];
  readonly #ports: readonly number[];
  readonly #cleanup = new Cleanup();
  readonly #members: readonly AskedProcess<MemberQuestion>[];
  readonly #publisher: AskedProcess<PublisherQuestion>;

  /**
   * @param servicesMs of each member, how long it takes for a message
   * @param ports of each member, its broker's; else that of the publisher's broker
   */
  constructor(subject: Subject, servicesMs: readonly number[], ports: readonly number[] = []) {
    this.#subject = subject;
    this.#ports = ports;
    this.#servicesMs = servicesMs;
    this.#cleanup.teardown(() => subject.stop());
    this.#members = servicesMs.map((ms) => new AskedProcess("member.ts", [String(ms)], this.#cleanup));
    this.#publisher = new AskedProcess("publisher.ts", [], this.#cleanup);
  }

  async start(): Promise<void> {
    await this.#publisher.ask({ ask: "connect", port: this.#subject.port });
    // They answer when they have been loaded.
    await this.#collect(new Completions());
  }

  async stop(): Promise<void> {
    await this.#cleanup.run();
  }

  /** Messages a second that each member completes while it alone has more than enough, one after the other. */
  async capacities(): Promise<number[]> {
    const capacities: number[] = [];
    for (const [index, member] of this.#members.entries()) {
      const alone = `bench/alone/${index}`;
      await this.#join(index, `alone-${index}`, alone);
      const count = Math.ceil(aloneMs / (this.#servicesMs[index] as number));
      const { completions } = await this.#settled(
        this.#publisher.ask<Sent>({ ask: "burst", topic: alone, count }),
      );
      await member.ask({ ask: "leave" });
      capacities.push(rateOf(completions));
    }
    return capacities;
  }

  /** All members join the pool. */
  async join(): Promise<void> {
    for (const index of this.#members.keys()) await this.#join(index, poolName, poolFilter);
  }

  /** Offers messages to the pool, and returns when all are completed or nothing moves any more. */
  run(offer: Offer): Promise<Run> {
    return this.#settled(this.#publisher.ask<Sent>({ ask: "arrivals", topic, ...offer }));
  }

  /** A member. */
  member(index: number): Pick<AskedProcess<MemberQuestion>, "freeze" | "thaw"> {
    return this.#members[index] as AskedProcess<MemberQuestion>;
  }

  async #join(index: number, pool: string, filter: string): Promise<void> {
    const broker = `mqtt://127.0.0.1:${this.#ports[index] ?? this.#subject.port}`;
    const clientId = `bench-member-${index}`;
    await this.#members[index]?.ask({ ask: "join", broker, clientId, pool, filter });
  }

  async #settled(sending: Promise<Sent>): Promise<Run> {
    const sent = await sending;
    const completions = new Completions();
    let collecting = true;
    const collected = (async () => {
      while (collecting) {
        await this.#collect(completions);
        await sleep(pollMs);
      }
    })();
    await settle(
      () => completions.count,
      () => sent.count,
      patienceMs,
    );
    collecting = false;
    await collected;
    return { ...sent, completions };
  }

  async #collect(completions: Completions): Promise<void> {
    const reports = await Promise.all(
      this.#members.map((member) => member.ask<MemberReport>({ ask: "report" })),
    );
    for (const [index, report] of reports.entries()) completions.add(index, report);
  }
}

function rateOf(completions: Completions): number {
  const endsUs = completions.all.map(({ completedUs }) => completedUs).sort((a, b) => a - b);
  const warm = endsUs.slice(Math.floor(endsUs.length * coldShare));
  return ((warm.length - 1) * 1e6) / ((warm.at(-1) ?? 0) - (warm[0] ?? 0));
}
