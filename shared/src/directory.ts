import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { systemCode } from "./errors.ts";

/**
 * Makes a directory and what is missing above it. Instead of `mkdirSync` with `recursive`, which never returns where
 * an existing parent answers ENOENT (as /proc does).
 * @throws the system's error
 */
export function ensureDirectory(path: string, mode = 0o750): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const code = systemCode(error);
    if (code === "EEXIST" && statSync(path).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    ensureDirectory(dirname(path), mode);
    mkdirSync(path, { mode });
  }
}

/**
 * Makes sure that a file's new name in the directory outlasts a power cut.
 * @throws the system's error
 */
export function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
