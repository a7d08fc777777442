/**
 * Disk space set aside for the moment when the disk is full. Even forgetting a message needs space, in the write-ahead
 * log; without a reserve a full disk could never be emptied by delivering what is on it.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { systemCode } from "@equipoise/shared";

const blockBytes = 65_536;

export class Reserve {
  readonly #path: string;
  readonly bytes: number;
  #forbidden = false;

  constructor(path: string, bytes: number) {
    this.#path = path;
    this.bytes = bytes;
  }

  /** The space is set aside. */
  get held(): boolean {
    return existsSync(this.#path) && statSync(this.#path).size >= this.bytes;
  }

  /**
   * Sets the space aside; returns false when the disk has not enough for it. Where a file of this size is not allowed at
   * all there is no reserve, and that is no reason to take nothing in.
   * @throws the system's other errors
   */
  take(): boolean {
    if (this.#forbidden || this.held) return true;
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    if (bavail * bsize < 2 * this.bytes) return false;
    try {
      this.#fill();
      return true;
    } catch (error) {
      this.free();
      const code = systemCode(error);
      if (code === "ENOSPC" || code === "EDQUOT") return false;
      if (code !== "EFBIG") throw error;
      this.#forbidden = true;
      return true;
    }
  }

  /** Gives the space back to the file system. */
  free(): void {
    rmSync(this.#path, { force: true });
  }

  #fill(): void {
    const file = openSync(this.#path, "w", 0o600);
    try {
      // Written, not only sized: a hole would set nothing aside.
      const block = Buffer.alloc(blockBytes);
      for (let left = this.bytes; left > 0; left -= blockBytes)
        writeSync(file, block, 0, Math.min(left, blockBytes));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
}
