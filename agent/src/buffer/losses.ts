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
  /** Streams that may have more details than are kept. */
  readonly #detailed = new Set<number>();

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Within the transaction of a commit. @param told of those that the commit before has answered with */
  change(lost: readonly LostRange[], told: readonly LostRange[]): void {
    for (const range of told) this.#delete(range);
    this.add(lost);
  }

  /** At the end of that transaction; not without one, for a gap record may be on its way that tells of some word by word. */
  coalesce(): void {
    for (const streamId of this.#detailed) this.#coalesce(streamId);
    this.#detailed.clear();
  }

  /** Within a transaction. */
  add(lost: readonly LostRange[]): void {
    for (const range of lost) {
      this.#add(range);
      if (isDetail(range)) this.#detailed.add(range.streamId);
    }
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

  /** What has joined the range since it was told of stays. */
  #delete(range: LostRange): void {
    const { streamId, fromSeq, toSeq, reason } = range;
    const row = this.#statements.deleteLost.get(streamId, fromSeq, reason, detailOf(range));
    if (row !== undefined && row.to_seq > toSeq)
      this.#add({ ...range, fromSeq: toSeq + 1, toSeq: row.to_seq });
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
