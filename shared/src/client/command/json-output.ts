import type { Writable } from "node:stream";
import type { MissingTicks } from "../missing.ts";
import type { HandledRecord, Output } from "./output.ts";

/** One JSON object per line: each record with what this command adds, and `missing` objects between them. */
export class JsonOutput implements Output {
  readonly #stream: Writable;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  start(): void {}

  async show({ record, member, handledTimeUs, latencyMs }: HandledRecord): Promise<void> {
    await this.#write({ ...record, member, handledTimeUs, latencyMs });
  }

  async showMissing({ record: _, ...missing }: MissingTicks): Promise<void> {
    await this.#write({ type: "missing", ...missing });
  }

  onEvent(): void {}

  stop(): void {}

  async #write(value: object): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(`${JSON.stringify(value)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }
}
