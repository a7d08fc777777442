/**
 * The binary form of a message of records: `TickBatch` of shared/proto/tick_batch.proto. What all records share stands
 * there once, and what hardly changes from one to the next as a step.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EquipoiseError, reasonOf } from "./errors.ts";
import { limits } from "./limits.ts";
import {
  type Gap as GapMessage,
  GapSchema,
  Gap_Reason as Reason,
  TickRecord_Side as Side,
  type TickBatch,
  TickBatchSchema,
  type TickRecord as TickMessage,
  TickRecordSchema,
} from "./proto/tick_batch_pb.ts";
import { type Gap, type Missing, recordFault, type TickRecord, type Trade } from "./tick.ts";

/** What the steps of the next record count from. */
class Steps {
  seq = 0;
  exchangeTimeUs = 0;
  receivedTimeUs = 0;
  tradeId = 0;
}

const integerId = /^(0|[1-9]\d{0,15})$/;
const sides = { unknown: Side.UNKNOWN, buy: Side.BUY, sell: Side.SELL } as const;
const reasons = {
  feed: Reason.FEED,
  evicted: Reason.EVICTED,
  corrupt: Reason.CORRUPT,
  crash: Reason.CRASH,
} as const;
const sideNames = namesOf(sides);
const reasonNames = namesOf(reasons);

/** @param records one or more, of one stream and one epoch */
export function encodeTickBatch(records: readonly TickRecord[]): Uint8Array {
  const [first] = records;
  if (first === undefined) throw new Error("a batch needs a record");
  const { agent, epoch } = first;
  const { venue = "", symbol = "" } = records.find((record) => record.type === "trade") ?? {};
  const steps = new Steps();
  const messages = records.map((record) => {
    const alien = record.type === "trade" && (record.venue !== venue || record.symbol !== symbol);
    if (alien || record.agent !== agent || record.epoch !== epoch)
      throw new Error(`a batch of ${venue}/${symbol} of ${agent} has a record of another stream or epoch`);
    return messageOf(record, steps);
  });
  return toBinary(
    TickBatchSchema,
    create(TickBatchSchema, { venue, symbol, agent, epoch, records: messages }),
  );
}

function messageOf(record: TickRecord, steps: Steps): TickMessage {
  const message = create(TickRecordSchema);
  message.seqSkip = BigInt(record.seq - steps.seq - 1);
  steps.seq = record.seq;
  if (record.type === "gap") message.gap = gapMessageOf(record);
  else putTrade(message, record, steps);
  return message;
}

function putTrade(message: TickMessage, trade: Trade, steps: Steps): void {
  const { price, size, side, exchangeTimeUs, receivedTimeUs, tradeId } = trade;
  message.price = price;
  message.size = size;
  message.side = sides[side];
  message.exchangeTimeUsStep = BigInt(exchangeTimeUs - steps.exchangeTimeUs);
  message.receivedTimeUsStep = BigInt(receivedTimeUs - steps.receivedTimeUs);
  steps.exchangeTimeUs = exchangeTimeUs;
  steps.receivedTimeUs = receivedTimeUs;
  if (tradeId === undefined) return;
  const integer = integerId.test(tradeId) ? Number(tradeId) : Number.NaN;
  if (!Number.isSafeInteger(integer)) {
    message.tradeId = { case: "tradeIdText", value: tradeId };
    return;
  }
  message.tradeId = { case: "tradeIdStep", value: BigInt(integer - steps.tradeId) };
  steps.tradeId = integer;
}

function gapMessageOf({ reason, count, fromSeq, toSeq, ...gap }: Gap): GapMessage {
  const message = create(GapSchema, { reason: reasons[reason] });
  if (count !== null) message.count = BigInt(count);
  if (fromSeq !== undefined) message.fromSeq = BigInt(fromSeq);
  if (toSeq !== undefined) message.toSeq = BigInt(toSeq);
  if (gap.ofEpoch !== undefined) message.ofEpoch = gap.ofEpoch;
  if (gap.fromTradeId !== undefined) message.fromTradeId = gap.fromTradeId;
  if (gap.toTradeId !== undefined) message.toTradeId = gap.toTradeId;
  if (gap.fromTimeUs !== undefined) message.fromTimeUs = BigInt(gap.fromTimeUs);
  if (gap.toTimeUs !== undefined) message.toTimeUs = BigInt(gap.toTimeUs);
  return message;
}

/**
 * Fields that the schema does not have are ignored.
 * @throws EquipoiseError EQ_RECORD_INVALID with the field and what it must be
 */
export function decodeTickBatch(payload: Uint8Array): TickRecord[] {
  const batch = parsed(payload);
  if (batch.records.length === 0 || batch.records.length > limits.maxBatchRecords) {
    throw new EquipoiseError("EQ_RECORD_INVALID", `a batch holds 1 to ${limits.maxBatchRecords} records`);
  }
  const steps = new Steps();
  return batch.records.map((message) => {
    const record = recordOf(message, batch, steps);
    const fault = recordFault(record);
    if (fault !== undefined) throw new EquipoiseError("EQ_RECORD_INVALID", fault);
    return record as TickRecord;
  });
}

function parsed(payload: Uint8Array): TickBatch {
  try {
    return fromBinary(TickBatchSchema, payload, { readUnknownFields: false });
  } catch (error) {
    const reason = `the payload is neither JSON nor a binary batch: ${reasonOf(error)}`;
    throw new EquipoiseError("EQ_RECORD_INVALID", reason, { cause: error });
  }
}

/** What it should be; the sums of a broken batch may be no integers any more. */
type Unchecked<T> = { [K in keyof T]: unknown };

function recordOf(message: TickMessage, { venue, symbol, agent, epoch }: TickBatch, steps: Steps) {
  steps.seq += 1 + Number(message.seqSkip);
  const place = { agent, epoch, seq: steps.seq };
  if (message.gap !== undefined) return { type: "gap", ...missingOf(message.gap), ...place };
  steps.exchangeTimeUs += Number(message.exchangeTimeUsStep);
  steps.receivedTimeUs += Number(message.receivedTimeUsStep);
  const { exchangeTimeUs, receivedTimeUs } = steps;
  const { price, size } = message;
  const side = sideNames.get(message.side);
  const id = tradeIdOf(message, steps);
  const identity = { type: "trade", venue, symbol, ...(id === undefined ? {} : { tradeId: id }) };
  return { ...identity, price, size, side, exchangeTimeUs, receivedTimeUs, ...place };
}

function tradeIdOf({ tradeId }: TickMessage, steps: Steps): string | undefined {
  if (tradeId.case !== "tradeIdStep") return tradeId.value;
  steps.tradeId += Number(tradeId.value);
  return String(steps.tradeId);
}

function missingOf(gap: GapMessage): Unchecked<Missing> {
  const { count, ofEpoch, fromSeq, toSeq, fromTradeId, toTradeId, fromTimeUs, toTimeUs } = gap;
  return {
    reason: reasonNames.get(gap.reason),
    count: count === undefined ? null : Number(count),
    ...(ofEpoch === undefined ? {} : { ofEpoch }),
    ...(fromSeq === undefined ? {} : { fromSeq: Number(fromSeq) }),
    ...(toSeq === undefined ? {} : { toSeq: Number(toSeq) }),
    ...(fromTradeId === undefined ? {} : { fromTradeId }),
    ...(toTradeId === undefined ? {} : { toTradeId }),
    ...(fromTimeUs === undefined ? {} : { fromTimeUs: Number(fromTimeUs) }),
    ...(toTimeUs === undefined ? {} : { toTimeUs: Number(toTimeUs) }),
  };
}

function namesOf<K extends string>(numbers: Readonly<Record<K, number>>): ReadonlyMap<number, K> {
  return new Map(Object.entries<number>(numbers).map(([name, number]) => [number, name as K]));
}
