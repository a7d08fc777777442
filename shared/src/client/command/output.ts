import type { TickRecord } from "../../tick.ts";
import type { ConsumerEvent, ConsumerStats } from "../consumer.ts";
import type { MissingTicks } from "../missing.ts";

/** A record as this command has handled it. */
export interface HandledRecord {
  record: TickRecord;
  topic: string;
  /** Client id. */
  member: string;
  /** Wall clock when the handler had finished, with the resolution of a millisecond. */
  handledTimeUs: number;
  /** From the agent's clock to this one's, which may disagree; absent for gap records. */
  latencyMs?: number;
}

/** Where the command shows what it reads. */
export interface Output {
  start(): void;
  /** Resolves when the record is out of our hands. */
  show(handled: HandledRecord): Promise<void> | void;
  showMissing(missing: MissingTicks): Promise<void> | void;
  onEvent(event: ConsumerEvent): void;
  stop(): void;
}

/** What an output may ask about the consumer. */
export type Status = () => ConsumerStats;
