/**
 * What one message of a stream carries. Its first byte tells its form: `{` one record as JSON, `[` a JSON batch,
 * anything else a binary batch.
 */
import { EquipoiseError } from "./errors.ts";
import { limits } from "./limits.ts";
import { recordFault, type TickRecord } from "./tick.ts";
import { decodeTickBatch } from "./tick-batch.ts";

const openBrace = 0x7b;
const openBracket = 0x5b;

/**
 * All records of one message payload, one or a batch, in any form. Unknown fields are ignored.
 * @throws EquipoiseError EQ_RECORD_INVALID with the field and what it must be
 */
export function decodePayload(payload: Uint8Array): TickRecord[] {
  const first = payload[0];
  if (first !== openBrace && first !== openBracket) return decodeTickBatch(payload);
  const value = parseJson(payload);
  if (!Array.isArray(value)) return [asRecord(value)];
  if (value.length > limits.maxBatchRecords) {
    throw new EquipoiseError("EQ_RECORD_INVALID", `a batch holds at most ${limits.maxBatchRecords} records`);
  }
  return value.map(asRecord);
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"));
  } catch (error) {
    throw new EquipoiseError("EQ_RECORD_INVALID", "the payload is not JSON", { cause: error });
  }
}

function asRecord(value: unknown): TickRecord {
  const fault = recordFault(value);
  if (fault !== undefined) throw new EquipoiseError("EQ_RECORD_INVALID", fault);
  return value as TickRecord;
}
