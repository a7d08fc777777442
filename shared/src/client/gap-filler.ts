/** Fills holes with what agents still have: the records in order, and between them what stays missing. */
import type { Clock } from "../clock.ts";
import { EquipoiseError, type ErrorCode, reasonOf } from "../errors.ts";
import type { TickRecord } from "../tick.ts";
import { parseTopic } from "../topics.ts";
import type { AgentAnswer } from "./agent-requests.ts";
import type { Filler } from "./completion.ts";
import type { ConsumerEvent } from "./consumer.ts";
import { explained, type MissingNumbers, type MissingTicks, partOf } from "./missing.ts";

export interface GapFillerOptions {
  /** Asks an agent for `resend`. @throws EquipoiseError EQ_REQUEST_UNANSWERED, EQ_LIMIT_REACHED, EQ_BROKER_UNREACHABLE */
  ask: (agentId: string, body: object) => Promise<AgentAnswer>;
  clock: Clock;
  onEvent: (event: ConsumerEvent) => void;
}

/** An agent that did not answer is not asked again for so long, or every hole would hold up its stream. */
const restMs = 60_000;
const maxResting = 10_000;
/** One that has too many requests is asked again, and so is one whose answer was lost with the connection. */
const passing: readonly ErrorCode[] = ["EQ_LIMIT_REACHED", "EQ_BROKER_UNREACHABLE"];
const pauseMs = 1_000;
const maxAttempts = 5;

export class GapFiller implements Filler {
  readonly #options: GapFillerOptions;
  readonly #restingUntilMs = new Map<string, number>();

  constructor(options: GapFillerOptions) {
    this.#options = options;
  }

  /** In order of sequence. What no agent has a number for is passed on as it is. */
  async *fill(missing: MissingTicks): AsyncGenerator<TickRecord | MissingTicks> {
    const { topic, fromSeq, toSeq } = missing;
    const meaning = parseTopic(topic);
    const known = meaning.kind !== "ticks" || this.#isResting(meaning.agentId) || isGivenUp(missing);
    if (known || fromSeq === undefined || toSeq === undefined) return yield missing;
    let from: number | null = fromSeq;
    while (from !== null) {
      const hole = partOf(missing, from, toSeq);
      const answer = await this.#ask(meaning, hole);
      if (answer === undefined) return yield hole;
      const next: number | null = nextOf(answer, from, toSeq);
      yield* interleaved(partOf(hole, from, next === null ? toSeq : next - 1), answer.records);
      from = next;
    }
  }

  async #ask(
    { venue, symbol, agentId }: { venue: string; symbol: string; agentId: string },
    { topic, epoch, fromSeq, toSeq }: MissingNumbers,
  ): Promise<AgentAnswer | undefined> {
    const { onEvent } = this.#options;
    try {
      const answer = await this.#patiently(agentId, { venue, symbol, epoch, fromSeq, toSeq });
      onEvent({ event: "resent", topic, fromSeq, toSeq, records: answer.records.length });
      return answer;
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      this.#rest(agentId);
      onEvent({ event: "resendFailed", topic, fromSeq, toSeq, reason: reasonOf(error) });
      return undefined;
    }
  }

  async #patiently(agentId: string, body: object): Promise<AgentAnswer> {
    const { ask, clock } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await ask(agentId, body);
      } catch (error) {
        const passes = error instanceof EquipoiseError && passing.includes(error.code);
        if (!passes || attempt === maxAttempts) throw error;
      }
      await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
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

/** What the agent told of it is all that it knows; of a database that was set aside it may find more. */
function isGivenUp({ reason, record, epoch }: MissingTicks): boolean {
  if (reason === "hole") return false;
  const mayBeSetAside = reason === "corrupt" && record?.count === null;
  return record === undefined || (record.epoch === epoch && !mayBeSetAside);
}

/** Where a long hole goes on; only forwards, whatever the agent says. */
function nextOf({ outcome: { nextSeq } }: AgentAnswer, from: number, to: number): number | null {
  return typeof nextSeq === "number" && nextSeq > from && nextSeq <= to ? nextSeq : null;
}

function* interleaved(
  hole: MissingNumbers,
  answered: readonly TickRecord[],
): Generator<TickRecord | MissingTicks> {
  const records = answered.filter(({ epoch }) => epoch === hole.epoch);
  const gaps = records.filter((record) => record.type === "gap");
  let expected = hole.fromSeq;
  for (const record of records) {
    if (record.seq < expected || record.seq > hole.toSeq) continue;
    yield* explained(partOf(hole, expected, record.seq - 1), gaps);
    yield record;
    expected = record.seq + 1;
  }
  yield* explained(partOf(hole, expected, hole.toSeq), gaps);
}
