import { constants } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { EquipoiseError, reasonOf, syncDirectory, systemCode } from "@equipoise/shared";

/** Replaces a file at once and for good: readers see the old content or the new one, also after a crash. */
export async function replaceFile(path: string, content: string, mode = 0o600): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, "wx", mode);
  try {
    await keepOwner(file, path);
    await file.writeFile(content);
    await file.sync();
    await file.close();
    await rename(temporary, path);
    syncDirectory(dirname(path));
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
}

/** @throws EquipoiseError EQ_FILE_EXISTS */
export async function createFile(path: string, content: string, mode: number): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const file = await open(path, flags, mode).catch((error: unknown) => {
    if (systemCode(error) !== "EEXIST") throw error;
    throw new EquipoiseError("EQ_FILE_EXISTS", `${path}: ${reasonOf(error)}`, { cause: error });
  });
  try {
    await file.writeFile(content);
    await file.sync();
    syncDirectory(dirname(path));
  } finally {
    await file.close();
  }
}

/** An administrator who edits the file of a service's user leaves it to that user. */
async function keepOwner(file: FileHandle, path: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  try {
    const { uid, gid } = await stat(path);
    await file.chown(uid, gid);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
}
