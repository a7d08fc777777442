/**
 * A file that takes up room on the disk, so that there is some when all else is full: it is given up for a moment for
 * what is small and must be written, and made again as large as then goes.
 */
import { randomFillSync } from "node:crypto";
import { closeSync, fstatSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { systemCode } from "@equipoise/shared/errors";

const spareBytes = 512 * 2 ** 10;
const pieceBytes = 16 * 2 ** 10;

export class SpareRoom {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** As large as it is to be, or as goes: the file alone is no reason not to run. */
  make(): void {
    try {
      this.#withFile(fillUp);
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
    }
  }

  /** Does the work in the room that is given up for it. @throws what `work` throws, and system errors */
  lend<T>(work: () => T): T {
    this.#withFile((file) => ftruncateSync(file, 0));
    try {
      return work();
    } finally {
      this.make();
    }
  }

  #withFile(work: (file: number) => void): void {
    const file = openSync(this.#path, "a");
    try {
      work(file);
    } finally {
      closeSync(file);
    }
  }
}

/** Noise, because a file system that compresses would keep nothing of zeros. */
function fillUp(file: number): void {
  const piece = Buffer.alloc(pieceBytes);
  for (let bytes = fstatSync(file).size; bytes < spareBytes; ) {
    bytes += writeSync(file, randomFillSync(piece), 0, Math.min(pieceBytes, spareBytes - bytes));
  }
}
