/** The first transaction of a new database. */
import type Sqlite from "better-sqlite3";
import { Losses } from "./losses.ts";
import type { LostRange, StoredStream } from "./protocol.ts";
import { prepareStatements, tables } from "./schema.ts";

/** What a new database holds from its first moment. */
export interface Beginning {
  agent: string;
  epoch: string;
  /** See {@link Opened}. */
  earlierEpoch: string | null;
  forgottenSeq: number;
  /** Positions that are used up, see {@link Positions}. */
  done: readonly number[];
  streams: readonly StoredStream[];
  /** What gap records have to tell of. */
  lost: readonly LostRange[];
}

/** Begins an empty database, in one transaction: its epoch must never be there without the numbers that were given. */
export function beginDatabase(db: Sqlite.Database, beginning: Beginning): void {
  const { agent, epoch, earlierEpoch, forgottenSeq, done, streams, lost } = beginning;
  db.transaction(() => {
    db.exec(tables);
    const insert =
      "INSERT INTO meta (id, epoch, agent, uptime_ms, done, forgotten_seq, earlier_epoch) VALUES (1, ?, ?, 0, ?, ?, ?)";
    db.prepare(insert).run(epoch, agent, JSON.stringify(done), forgottenSeq, earlierEpoch);
    const statements = prepareStatements(db);
    for (const { id, venue, symbol, seq, reserved, mark = "" } of streams)
      statements.stream.run(id, venue, symbol, seq, reserved, mark);
    new Losses(statements).change(lost, []);
  })();
}
