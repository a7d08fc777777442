/** How long the broker takes to choose a member, in this process: the pool itself, with members that are only counters. */
import { Chunk, encodePublish } from "../../../broker/src/journal/chunk.ts";
import { MemoryJournal } from "../../../broker/src/journal/memory.ts";
import { Indexes, Slice } from "../../../broker/src/journal/slice.ts";
import { Backlog } from "../../../broker/src/pool/backlog.ts";
import type { Delivery } from "../../../broker/src/pool/delivery.ts";
import type { Receiver } from "../../../broker/src/pool/member.ts";
import { resolvePolicy, type UndeclaredPools } from "../../../broker/src/pool/policy.ts";
import { Pool } from "../../../broker/src/pool/pool.ts";
import { seededRandom } from "../../support/random.ts";
import type { Figures, Scenario } from "./scenario.ts";

const members = 32;
const decisions = 200_000;
const warmUp = 20_000;
const filter = "ticks/#";
const frame = encodePublish("ticks/v/s/a", Buffer.alloc(100), { qos: 1, retain: false });
const starts = Uint32Array.of(0, frame.length);

/** Holds what it gets until it is asked for the oldest. */
class CountingReceiver implements Receiver {
  readonly clientId: string;
  readonly ready = true;
  readonly lastHeardAtMs = 0;
  readonly silenceLimitMs = 0;
  readonly held: Delivery[] = [];
  readonly #nowMs: () => number;

  constructor(clientId: string, nowMs: () => number) {
    this.clientId = clientId;
    this.#nowMs = nowMs;
  }

  send(delivery: Delivery): void {
    delivery.sentAtMs = this.#nowMs();
    this.held.push(delivery);
  }

  quarantine(): void {}

  disconnect(): void {}

  acknowledgeOldest(): void {
    const delivery = this.held.shift();
    delivery?.holder?.acknowledged(delivery, this.#nowMs() - delivery.sentAtMs);
  }
}

/** A pool in a time of its own, which the caller moves. */
function poolAt(nowMs: () => number, random: () => number) {
  const journal = new MemoryJournal();
  const undeclared: UndeclaredPools = {
    allow: true,
    maxBacklogBytes: 2 ** 30,
    removeAfterMs: 1,
    strategy: "performance_based",
    health: "advanced",
    ackTimeoutMs: 30_000,
    maxDeliveries: 5,
  };
  const nothing = (): void => {};
  const pool: Pool = new Pool(resolvePolicy("p", filter, { declared: [], rules: [], undeclared }, random), {
    ...{ wake: nothing, onDropped: nothing, onFailed: nothing, bury: nothing, onHealth: nothing },
    ...{ onPanic: nothing, onCheckerFailed: nothing, onRescued: nothing },
    openBacklog: () => backlog,
    random,
    wallMs: nowMs,
    monotonicMs: nowMs,
  });
  const backlog: Backlog = new Backlog({
    limits: { maxBytes: 2 ** 30, maxHotBytes: 2 ** 30 },
    journal,
    queue: undefined,
    onReady: nothing,
    onReadFailed: (error) => {
      throw error;
    },
  });
  pool.adopt(filter, backlog);
  const offer = (): void => {
    const chunk = new Chunk(journal.nextId(), 1, frame.length);
    chunk.load(frame, starts);
    const all = new Indexes();
    all.add(0);
    backlog.push(new Slice(chunk, all));
  };
  return { pool, offer };
}

/** Each message is chosen for by itself, in a turn of its own; a member at random answers between two. */
async function measure(): Promise<Figures> {
  let nowMs = 0;
  const random = seededRandom(1);
  const { pool, offer } = poolAt(() => nowMs, random);
  const receivers = Array.from({ length: members }, (_, at) => new CountingReceiver(`m${at}`, () => nowMs));
  for (const receiver of receivers) pool.join(receiver, filter, 1);
  const tookNs = new Float64Array(decisions);
  for (let at = -warmUp; at < decisions; at++) {
    nowMs += 0.1;
    offer();
    const began = process.hrtime.bigint();
    pool.drain();
    const ended = process.hrtime.bigint();
    if (at >= 0) tookNs[at] = Number(ended - began);
    (receivers[Math.floor(random() * members)] as CountingReceiver).acknowledgeOldest();
    if (pool.waiting > 0) for (const receiver of receivers) receiver.acknowledgeOldest();
  }
  tookNs.sort();
  const at = (share: number): number => (tookNs[Math.floor(decisions * share)] ?? 0) / 1_000;
  return { p50Us: at(0.5), p99Us: at(0.99), p999Us: at(0.999) };
}

const row = { subject: "memory", unit: "µs", better: "less" } as const;

export const decision: Scenario = {
  name: "decision",
  text: `one message at a time to one of ${members} members, performance_based`,
  subjects: ["memory"],
  rounds: 3,
  rows: [
    {
      ...row,
      name: "decision-p999",
      text: "one decision, 32 members: p99.9",
      figure: "p999Us",
      must: 100,
      aim: 10,
    },
    { ...row, name: "decision-p50", text: "one decision, 32 members: median", figure: "p50Us" },
  ],
  measure,
};
