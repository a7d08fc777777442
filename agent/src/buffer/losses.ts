/** What was lost and is not yet told of by a gap record: one range for each run of losses and stream. */
import type { Missing } from "@equipoise/shared";
import type { LostRange } from "./protocol.ts";
import type { Statements } from "./schema.ts";

export class Losses {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  /** Within a transaction. */
  change(lost: readonly LostRange[], told: readonly LostRange[]): void {
    const { extendLost, addLost, deleteLost } = this.#statements;
    for (const { streamId, fromSeq, toSeq, reason } of told) deleteLost.run(streamId, fromSeq, toSeq, reason);
    for (const { streamId, fromSeq, toSeq, reason, missing } of lost) {
      const isPlain = missing === undefined;
      const changes = isPlain ? extendLost.run(toSeq, streamId, reason, fromSeq, fromSeq).changes : 0;
      const detail = isPlain ? null : JSON.stringify(missing);
      if (changes === 0) addLost.run(streamId, fromSeq, toSeq, reason, detail);
    }
  }

  all(): LostRange[] {
    return this.#statements.lost.all().map(({ stream, from_seq, to_seq, reason, missing }) => ({
      streamId: stream,
      fromSeq: from_seq,
      toSeq: to_seq,
      reason: reason as LostRange["reason"],
      ...(missing === null ? {} : { missing: JSON.parse(missing) as Missing }),
    }));
  }
}
