/** One answer on its way: pieces become messages of a bounded size, the last of them marked as such. */
import { EquipoiseError } from "@equipoise/shared";
import type { Part } from "./method.ts";

/** Most characters of records in one message; a quarter of what a broker accepts by default. */
const maxMessageLength = 256 * 1_024;

export interface AnswerOptions {
  agent: string;
  requestId: string;
  /** @throws EquipoiseError EQ_BROKER_UNREACHABLE */
  send: (payload: string) => Promise<void>;
}

export class Answer {
  readonly #options: AnswerOptions;
  #part = 0;
  #records: string[] = [];
  /** It is one of records, even if there are none. */
  #hasRecords = false;
  #length = 0;

  constructor(options: AnswerOptions) {
    this.#options = options;
  }

  /** Sends what is full; the rest waits for more. */
  async add({ records }: Part): Promise<void> {
    this.#hasRecords ||= records !== undefined;
    for (const record of records ?? []) {
      if (this.#length + record.length > maxMessageLength) await this.#send(false, {});
      this.#records.push(record);
      this.#length += record.length + 1;
    }
  }

  /** Sends the rest, with the outcome. */
  async end(fields: object): Promise<void> {
    await this.#send(true, fields);
  }

  async fail(error: EquipoiseError): Promise<void> {
    const { code, message, retryable } = error;
    this.#records = [];
    this.#hasRecords = false;
    await this.#send(true, { error: { code, message, retryable } });
  }

  /** Records are JSON already, so the message is put together as text. */
  async #send(last: boolean, fields: object): Promise<void> {
    const { agent, requestId, send } = this.#options;
    const head = JSON.stringify({ requestId, agent, part: this.#part, last, ...fields });
    const records = !this.#hasRecords ? "" : `,"records":[${this.#records.join(",")}]`;
    this.#part += 1;
    this.#records = [];
    this.#length = 0;
    await send(`${head.slice(0, -1)}${records}}`);
  }
}

/** Runs a method to its end. @throws EquipoiseError EQ_BROKER_UNREACHABLE when nobody can be told any more */
export async function answerWith(answer: Answer, parts: AsyncIterable<Part>): Promise<void> {
  let outcome = {};
  try {
    for await (const part of parts) {
      await answer.add(part);
      if (part.fields !== undefined) outcome = part.fields;
    }
  } catch (error) {
    if (!(error instanceof EquipoiseError) || error.code === "EQ_BROKER_UNREACHABLE") throw error;
    return await answer.fail(error);
  }
  await answer.end(outcome);
}
