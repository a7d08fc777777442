/** A look at a buffer that no agent has open, without a change to it. */
import { EquipoiseError } from "@equipoise/shared/errors";
import Sqlite from "better-sqlite3";
import { checkWhole } from "./database.ts";
import { type MetaRow, prepareLastChunk, schemaVersion } from "./schema.ts";
import { unsent } from "./unsent.ts";

export interface Leftover {
  /** Whose it is. */
  agent: string;
  /** Not acknowledged. */
  ticks: number;
  /** All of its pages were looked at; a large one would take too long. */
  checked: boolean;
}

/**
 * @throws EquipoiseError EQ_STORE_NEWER
 * @throws SqliteError SQLITE_BUSY while an agent has it open; for damage what SQLite says
 */
export function leftover(path: string): Leftover {
  const db = new Sqlite(path, { readonly: true, timeout: 0 });
  try {
    const found = Number(db.pragma("user_version", { simple: true }));
    if (found > schemaVersion) {
      throw new EquipoiseError(
        "EQ_STORE_NEWER",
        `${path} has version ${found}; this program knows ${schemaVersion}`,
      );
    }
    const checked = checkWhole(db);
    if (found === 0) return { agent: "", ticks: 0, checked };
    const { agent } = db.prepare("SELECT agent FROM meta").get() as Pick<MetaRow, "agent">;
    if (found === 1)
      return { agent, ticks: Number(db.prepare("SELECT count(*) FROM tick").pluck().get()), checked };
    const { done } = db.prepare("SELECT done FROM meta").get() as Pick<MetaRow, "done">;
    return { agent, ticks: unsent(prepareLastChunk(db).get(), JSON.parse(done) as number[]), checked };
  } finally {
    db.close();
  }
}
