/** This agent's certificate files. They are read for every connection, because they may be renewed while it runs. */
import { isDeepStrictEqual } from "node:util";
import {
  EquipoiseError,
  type Logger,
  readTlsFiles,
  type TlsClientFiles,
  type TlsOptions,
} from "@equipoise/shared";

export class Certificates {
  readonly #files: TlsClientFiles;
  readonly #logger: Logger;
  #read: TlsOptions;
  /** What was last reported about files that cannot be used. */
  #reported: string | undefined;

  /** @throws EquipoiseError EQ_TLS_UNUSABLE naming the file */
  constructor(files: TlsClientFiles, logger: Logger) {
    this.#files = files;
    this.#logger = logger;
    this.#read = readTlsFiles(files);
  }

  /** What the files hold now; while they cannot be used, as in the middle of a change, what they held before. */
  current(): TlsOptions {
    this.reload();
    return this.#read;
  }

  /**
   * Reads the files again; the log says why they cannot be used, once.
   * @returns whether they have changed, or undefined while they cannot be used
   */
  reload(): boolean | undefined {
    try {
      const read = readTlsFiles(this.#files);
      const changed = !isDeepStrictEqual(read, this.#read);
      this.#read = read;
      this.#reported = undefined;
      return changed;
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      if (this.#reported !== error.message) {
        this.#logger.warn({ event: "reloadFailed", code: error.code, reason: error.message }, error.line);
      }
      this.#reported = error.message;
      return undefined;
    }
  }
}
