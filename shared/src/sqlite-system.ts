/** Systems that better-sqlite3 comes compiled for; nothing is compiled where Equipoise runs. */
import { EquipoiseError } from "./errors.ts";

const architectures = ["x64", "arm64"];

/** Why SQLite cannot work here, or `undefined`. @param arch as Node names the processor */
export function sqliteSystemFault(arch: string = process.arch): string | undefined {
  return architectures.includes(arch) ? undefined : `${arch}: there is no SQLite binary for it`;
}

/** @throws EquipoiseError EQ_SYSTEM_UNSUPPORTED */
export function requireSqliteSystem(): void {
  const fault = sqliteSystemFault();
  if (fault !== undefined) throw new EquipoiseError("EQ_SYSTEM_UNSUPPORTED", fault);
}
