/** What gap records say about the ticks that this device has lost. */
import { EquipoiseError, type Logger, type Missing } from "@equipoise/shared";
import type { LostRange } from "./protocol.ts";
import type { NumberedStream } from "./streams.ts";

/** Numbers that were reserved and not committed may have been used for ticks that are gone. */
export function afterCrash({ seq, reserved }: NumberedStream): Missing | undefined {
  if (reserved === seq) return undefined;
  return { reason: "crash", count: null, fromSeq: seq + 1, toSeq: reserved };
}

/**
 * How a stream begins that may have been here before: behind every number that it may have had, and with what nobody
 * knows of the epoch before.
 */
export function beforeFirst({ seq }: NumberedStream, earlierEpoch: string | null): Missing[] {
  const ofEpoch = earlierEpoch === null || earlierEpoch === "" ? {} : { ofEpoch: earlierEpoch };
  return [
    ...(seq === 0 ? [] : [{ reason: "evicted", count: 0, fromSeq: 1, toSeq: seq } as const]),
    ...(earlierEpoch === null ? [] : [{ reason: "corrupt", count: null, ...ofEpoch } as const]),
  ];
}

/** What only a damaged database held, in the epoch that goes on. */
export function unread({ id: streamId, takenSeq, committedSeq: toSeq }: NumberedStream): LostRange[] {
  if (takenSeq === toSeq || toSeq === 0) return [];
  const from = takenSeq === undefined ? {} : { fromSeq: takenSeq + 1 };
  const missing: Missing = { reason: "corrupt", count: null, ...from, toSeq };
  return [{ streamId, fromSeq: takenSeq ?? 0, toSeq, reason: "corrupt", missing }];
}

/** A stop that the disk did not let end well: what was in memory alone is lost with the memory. */
export function unstored(error: EquipoiseError, count: number): EquipoiseError {
  const reason = `${count} ticks were in memory alone: ${error.message}`;
  return new EquipoiseError("EQ_TICKS_UNSTORED", reason, { cause: error });
}

export function aboutRange({ reason, fromSeq, toSeq, missing }: LostRange): Missing {
  return missing ?? { reason, count: reason === "crash" ? null : toSeq - fromSeq + 1, fromSeq, toSeq };
}

/** A stop could not write down what is lost. */
export function warnOfReserve(logger: Logger): void {
  const text =
    "the disk takes nothing: the next start tells of all numbers that may be lost, not of those that are";
  logger.warn({ event: "reserveKept" }, text);
}
