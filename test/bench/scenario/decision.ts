/** How long the broker takes to choose a member, in this process: the pool itself, with members that are only counters. */
import { Chunk, encodePublish } from "../../../broker/src/journal/chunk.ts";
import { Indexes, Slice } from "../../../broker/src/journal/slice.ts";
import type { Delivery } from "../../../broker/src/pool/delivery.ts";
import type { Receiver } from "../../../broker/src/pool/member.ts";
import { type LonePool, lonePool, poolFilter } from "../../support/lone-pool.ts";
import { seededRandom } from "../../support/random.ts";
import type { Figures, Scenario } from "./scenario.ts";

const members = 32;
const decisions = 200_000;
const warmUp = 20_000;
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

/** A message in the backlog, in a chunk of its own. */
function offer({ backlog, journal }: LonePool): void {
  const chunk = new Chunk(journal.nextId(), 1, frame.length);
  chunk.load(frame, starts);
  const all = new Indexes();
  all.add(0);
  backlog.push(new Slice(chunk, all));
}

/** Each message is chosen for by itself, in a turn of its own; a member at random answers between two. */
async function measure(): Promise<Figures> {
  let nowMs = 0;
  const random = seededRandom(1);
  const lone = lonePool({ nowMs: () => nowMs, random });
  const { pool } = lone;
  const receivers = Array.from({ length: members }, (_, at) => new CountingReceiver(`m${at}`, () => nowMs));
  for (const receiver of receivers) pool.join(receiver, poolFilter, 1);
  const tookNs = new Float64Array(decisions);
  for (let at = -warmUp; at < decisions; at++) {
    nowMs += 0.1;
    offer(lone);
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
