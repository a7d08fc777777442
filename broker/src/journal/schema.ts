/** The journal's tables, and how older ones are brought up to date. */
import { EquipoiseError } from "@equipoise/shared";
import type Database from "better-sqlite3";

/** Each step brings the schema from its place in the list to the next; a new file takes them all. */
const migrations = [
  `CREATE TABLE queue (id INTEGER PRIMARY KEY, pool TEXT NOT NULL, filter TEXT NOT NULL, UNIQUE (pool, filter)) STRICT;
   CREATE TABLE chunk (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, frames BLOB NOT NULL) STRICT;
   CREATE TABLE owed (chunk INTEGER NOT NULL, queue INTEGER NOT NULL, unsettled BLOB,
     PRIMARY KEY (chunk, queue)) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE owed RENAME TO owed_1;
   CREATE TABLE owed (chunk INTEGER NOT NULL, queue INTEGER NOT NULL, part INTEGER NOT NULL, qos_cap INTEGER NOT NULL,
     unsettled BLOB, PRIMARY KEY (chunk, queue, part)) STRICT, WITHOUT ROWID;
   INSERT INTO owed SELECT chunk, queue, 0, 2, unsettled FROM owed_1;
   DROP TABLE owed_1;
   CREATE TABLE retained (topic TEXT PRIMARY KEY, frame BLOB NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE session (client_id TEXT PRIMARY KEY, subscriptions TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
];
export const schemaVersion = migrations.length;

/** A crash can come between the end of a queue and the settlement of what it was owed. */
export const forgetOrphans = `
  DELETE FROM owed WHERE queue NOT IN (SELECT id FROM queue);
  DELETE FROM chunk WHERE id NOT IN (SELECT chunk FROM owed);
`;

/** Creates or upgrades the tables. @throws EquipoiseError EQ_STORE_NEWER */
export function migrate(db: Database.Database, path: string): void {
  const found = db.pragma("user_version", { simple: true }) as number;
  if (found > schemaVersion) {
    throw new EquipoiseError(
      "EQ_STORE_NEWER",
      `${path} has schema ${found}, this version knows ${schemaVersion}`,
    );
  }
  db.transaction(() => {
    for (const step of migrations.slice(found)) db.exec(step);
    db.pragma(`user_version = ${schemaVersion}`);
  })();
}
