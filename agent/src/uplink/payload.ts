/** The forms in which records travel: as the JSON they are buffered as, or as a binary batch. */
import { encodeTickBatch, type TickRecord } from "@equipoise/shared";

export const payloadForms = ["json", "protobuf"] as const;
export type PayloadForm = (typeof payloadForms)[number];

/** Makes one payload of one or more records of a stream, each given as JSON. */
export type EncodePayload = (records: readonly string[]) => string | Buffer;

export const encoders: Readonly<Record<PayloadForm, EncodePayload>> = {
  json: ([first = "", ...others]) => (others.length === 0 ? first : `[${first},${others.join(",")}]`),
  protobuf: (records) => {
    const { buffer, byteOffset, byteLength } = encodeTickBatch(records.map(parsed));
    return Buffer.from(buffer, byteOffset, byteLength);
  },
};

/** The buffer's own records, which need no check. */
const parsed = (record: string): TickRecord => JSON.parse(record) as TickRecord;
