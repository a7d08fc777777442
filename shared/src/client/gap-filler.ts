/** Fills holes with what agents still have: the records in order, and between them what stays missing. */
import type { Clock } from "../clock.ts";
import { EquipoiseError, reasonOf } from "../errors.ts";
import type { TickRecord } from "../tick.ts";
import { parseTopic } from "../topics.ts";
import type { AgentAnswer } from "./agent-requests.ts";
import type { ConsumerEvent } from "./consumer.ts";
import type { MissingTicks } from "./gaps.ts";

export interface GapFillerOptions {
  /** Asks an agent for `resend`. @throws EquipoiseError EQ_REQUEST_UNANSWERED */
  ask: (agentId: string, body: object) => Promise<AgentAnswer>;
  clock: Clock;
  onEvent: (event: ConsumerEvent) => void;
}

/** An agent that did not answer is not asked again for so long, or every hole would hold up its stream. */
const restMs = 60_000;
const maxResting = 10_000;

export class GapFiller {
  readonly #options: GapFillerOptions;
  readonly #restingUntilMs = new Map<string, number>();

  constructor(options: GapFillerOptions) {
    this.#options = options;
  }

  /** In order of sequence. What no agent has a number for is passed on as it is. */
  async *fill(missing: MissingTicks): AsyncGenerator<TickRecord | MissingTicks> {
    const { topic, fromSeq, toSeq, reason } = missing;
    const meaning = parseTopic(topic);
    const askable = reason === "hole" && meaning.kind === "ticks" && !this.#isResting(meaning.agentId);
    if (!askable || fromSeq === undefined || toSeq === undefined) return yield missing;
    let from: number | null = fromSeq;
    while (from !== null) {
      const hole: Hole = { ...missing, fromSeq: from, toSeq };
      const answer = await this.#ask(meaning, hole);
      if (answer === undefined) return yield { ...hole, count: toSeq - from + 1 };
      const next: number | null = nextOf(answer, from, toSeq);
      yield* interleaved({ ...hole, toSeq: next === null ? toSeq : next - 1 }, answer.records);
      from = next;
    }
  }

  async #ask(
    { venue, symbol, agentId }: { venue: string; symbol: string; agentId: string },
    { topic, epoch, fromSeq, toSeq }: Hole,
  ): Promise<AgentAnswer | undefined> {
    const { ask, onEvent } = this.#options;
    try {
      const answer = await ask(agentId, { venue, symbol, epoch, fromSeq, toSeq });
      onEvent({ event: "resent", topic, fromSeq, toSeq, records: answer.records.length });
      return answer;
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      this.#rest(agentId);
      onEvent({ event: "resendFailed", topic, fromSeq, toSeq, reason: reasonOf(error) });
      return undefined;
    }
  }

  #isResting(agentId: string): boolean {
    return (
      (this.#restingUntilMs.get(agentId) ?? Number.NEGATIVE_INFINITY) > this.#options.clock.monotonicMs()
    );
  }

  #rest(agentId: string): void {
    if (this.#restingUntilMs.size >= maxResting) this.#restingUntilMs.clear();
    this.#restingUntilMs.set(agentId, this.#options.clock.monotonicMs() + restMs);
  }
}

type Hole = MissingTicks & { fromSeq: number; toSeq: number };

/** Where a long hole goes on; only forwards, whatever the agent says. */
function nextOf({ outcome: { nextSeq } }: AgentAnswer, from: number, to: number): number | null {
  return typeof nextSeq === "number" && nextSeq > from && nextSeq <= to ? nextSeq : null;
}

function* interleaved(hole: Hole, records: readonly TickRecord[]): Generator<TickRecord | MissingTicks> {
  let expected = hole.fromSeq;
  for (const record of records) {
    if (record.epoch !== hole.epoch || record.seq < expected || record.seq > hole.toSeq) continue;
    if (record.seq > expected) yield part(hole, expected, record.seq - 1);
    yield record;
    expected = record.seq + 1;
  }
  if (expected <= hole.toSeq) yield part(hole, expected, hole.toSeq);
}

function part(hole: Hole, fromSeq: number, toSeq: number): MissingTicks {
  return { ...hole, fromSeq, toSeq, count: toSeq - fromSeq + 1 };
}
