/**
 * What was lost and is not yet told of by a gap record: one range for each run of losses and stream, and what lost gap
 * records told beyond that (see retold.ts).
 */
import type { Missing } from "@equipoise/shared";
import type { LostRange } from "./protocol.ts";
import { coalesced, isDetail, maxDetails } from "./retold.ts";
import type { LostRow, Statements } from "./schema.ts";

export class Losses {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Within a transaction. */
  change(lost: readonly LostRange[], told: readonly LostRange[]): void {
    for (const range of told) this.#delete(range);
    for (const range of lost) this.#add(range);
    for (const streamId of new Set(lost.filter(isDetail).map((detail) => detail.streamId)))
      this.#coalesce(streamId);
  }

  all(): LostRange[] {
    return this.#statements.lost.all().map(rangeOf);
  }

  #add(range: LostRange): void {
    const { streamId, fromSeq, toSeq, reason } = range;
    const { extendLost, addLost } = this.#statements;
    const changes = isDetail(range) ? 0 : extendLost.run(toSeq, streamId, reason, fromSeq, fromSeq).changes;
    if (changes === 0) addLost.run(streamId, fromSeq, toSeq, reason, detailOf(range));
  }

  #delete(range: LostRange): void {
    const { streamId, fromSeq, toSeq, reason } = range;
    this.#statements.deleteLost.run(streamId, fromSeq, toSeq, reason, detailOf(range));
  }

  #coalesce(streamId: number): void {
    const details = this.#statements.details.all(streamId).map(rangeOf).filter(isDetail);
    if (details.length <= maxDetails) return;
    const fewer = coalesced(details);
    if (fewer.length === details.length) return;
    for (const detail of details) this.#delete(detail);
    for (const detail of fewer) this.#add(detail);
  }
}

const detailOf = ({ missing }: LostRange): string => (missing === undefined ? "" : JSON.stringify(missing));

function rangeOf({ stream, from_seq, to_seq, reason, missing }: LostRow): LostRange {
  return {
    streamId: stream,
    fromSeq: from_seq,
    toSeq: to_seq,
    reason: reason as LostRange["reason"],
    ...(missing === "" ? {} : { missing: JSON.parse(missing) as Missing }),
  };
}
