import Sqlite from "better-sqlite3";

/** Reads from a database that may be damaged. @returns undefined where the damage is in the way */
export function readDamaged<T>(
  path: string,
  options: Sqlite.Options,
  read: (db: Sqlite.Database) => T,
): T | undefined {
  let db: Sqlite.Database | undefined;
  try {
    db = new Sqlite(path, options);
    return read(db);
  } catch (error) {
    // Also one of another schema, and one that the disk does not give any more.
    if (error instanceof Sqlite.SqliteError) return undefined;
    throw error;
  } finally {
    db?.close();
  }
}
