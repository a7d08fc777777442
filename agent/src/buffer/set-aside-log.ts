/** Says in the log, and counts, what is set aside and what of it is removed. */
import { EquipoiseError, type Logger } from "@equipoise/shared";
import type { SetAsideState } from "./set-aside-files.ts";

export class SetAsideLog {
  readonly #logger: Logger;
  #state = { files: 0, bytes: 0, removed: 0 };

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** What there is, and how many were removed since the start. */
  get state(): { files: number; bytes: number; removed: number } {
    return this.#state;
  }

  note({ files, bytes, removed, fault }: SetAsideState): void {
    this.#state = { files, bytes, removed: this.#state.removed + removed.length };
    for (const gone of removed) {
      const text = `${gone.path} was removed: buffer.setAsideFiles or buffer.setAsideBytes`;
      this.#logger.warn({ event: "setAsideRemoved", ...gone }, text);
    }
    if (fault !== undefined) this.#logger.warn({ event: "setAsideStays", reason: fault }, fault);
  }

  /** A damaged database was set aside. */
  report(reason: string, fields: object): void {
    const error = new EquipoiseError("EQ_STORE_DAMAGED", reason);
    this.#logger.error({ event: "bufferSetAside", code: error.code, ...fields }, error.line);
  }

  /** A part of the database is damaged and gone; the rest stays. */
  reportPart(): void {
    const fields = { event: "chunkDamaged", code: "EQ_STORE_DAMAGED" };
    this.#logger.error(fields, "a part of the buffer is damaged");
  }
}
