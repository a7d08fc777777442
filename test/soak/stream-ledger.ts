/** What an exclusive reader has of every stream, and what it can prove from that. */
import { decodePayload } from "@equipoise/shared";
import mqtt, { type MqttClient } from "mqtt";
import { type Judgement, judge } from "../agent/completeness.ts";
import type { Teardown } from "../support/teardown.ts";

interface Kept {
  bySeq: Map<number, string>;
  /** Payloads that contradict an earlier one of the same number. */
  contradictions: string[];
}

export class StreamLedger {
  /** Messages, repeats included. */
  messages = 0;
  repeats = 0;
  readonly #streams = new Map<string, Kept>();

  /** One message of a stream: a record or a batch. */
  take(topic: string, payload: Buffer): void {
    this.messages += 1;
    for (const record of decodePayload(payload)) {
      const stream = this.#of(`${topic} ${record.epoch}`);
      const text = JSON.stringify(record);
      const known = stream.bySeq.get(record.seq);
      if (known === undefined) stream.bySeq.set(record.seq, text);
      else if (known === text) this.repeats += 1;
      else stream.contradictions.push(text);
    }
  }

  has(topic: string, payload: string): boolean {
    return decodePayload(Buffer.from(payload)).every((record) => {
      return this.#streams.get(`${topic} ${record.epoch}`)?.bySeq.has(record.seq) === true;
    });
  }

  get records(): number {
    return [...this.#streams.values()].reduce((sum, { bySeq }) => sum + bySeq.size, 0);
  }

  /** By stream and epoch. */
  judged(): Map<string, Judgement> {
    return new Map(
      [...this.#streams].map(([name, { bySeq, contradictions }]) => {
        return [name, judge([...bySeq.values(), ...contradictions])];
      }),
    );
  }

  #of(name: string): Kept {
    const known = this.#streams.get(name) ?? { bySeq: new Map(), contradictions: [] };
    this.#streams.set(name, known);
    return known;
  }
}

/** Reads every stream with a session that outlives its connections, the broker's restarts included. */
export async function readStreams(t: Teardown, url: string, ledger: StreamLedger): Promise<MqttClient> {
  const client = mqtt.connect(url, { clientId: "reader", clean: false, reconnectPeriod: 100 });
  t.teardown(() => client.endAsync(true));
  client.on("error", () => {}); // the broker is away for a while
  client.on("message", (topic, payload) => ledger.take(topic, payload));
  await client.subscribeAsync("ticks/#", { qos: 1 });
  return client;
}

/** For people: how many gap records of each reason, and the ticks that they count. */
export function gapWords(judged: Iterable<Judgement>): string {
  const gaps = [...judged].flatMap((judgement) => judgement.gaps);
  const words = [...Map.groupBy(gaps, ({ reason }) => reason)].map(([reason, records]) => {
    const counted = records.reduce((sum, { count }) => sum + (count ?? 0), 0);
    return `${records.length} ${reason}${counted === 0 ? "" : ` of ${counted} ticks`}`;
  });
  return words.length === 0 ? "none" : words.join(", ");
}
