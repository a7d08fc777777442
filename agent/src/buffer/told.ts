/** What gap records say about the ticks that this device has lost. */
import { EquipoiseError, type Missing } from "@equipoise/shared";
import { isWeather } from "./group-commit.ts";
import type { LostRange, StoredStream } from "./protocol.ts";
import type { NumberedStream } from "./streams.ts";

/** Numbers that were reserved and not committed may have been used for ticks that are gone. */
export function afterCrash({ seq, reserved }: NumberedStream): Missing | undefined {
  if (reserved === seq) return undefined;
  return { reason: "crash", count: null, fromSeq: seq + 1, toSeq: reserved };
}

/** A stream that may have been here before begins behind every number that it may have had. */
export function neverGiven({ seq }: NumberedStream): Missing | undefined {
  return seq === 0 ? undefined : { reason: "evicted", count: 0, fromSeq: 1, toSeq: seq };
}

/** Said in a new epoch, about the streams of the one before. @param ofEpoch empty where it could not be read */
export function afterDamage(
  streams: readonly StoredStream[],
  ofEpoch: string,
): { venue: string; symbol: string; missing: Missing }[] {
  const epoch = ofEpoch === "" ? {} : { ofEpoch };
  return streams
    .filter(({ reserved }) => reserved > 0)
    .map(({ venue, symbol, reserved: toSeq }) => {
      return { venue, symbol, missing: { reason: "corrupt", count: null, ...epoch, toSeq } };
    });
}

/** What only a damaged database held, in the epoch that goes on. */
export function unread({ takenSeq, committedSeq: toSeq }: NumberedStream): Missing | undefined {
  if (takenSeq === toSeq || toSeq === 0) return undefined;
  const from = takenSeq === undefined ? {} : { fromSeq: takenSeq + 1 };
  return { reason: "corrupt", count: null, ...from, toSeq };
}

/** A stop that the disk did not let end well: what was in memory alone is lost with the memory. */
export function unstored(error: unknown, count: number): unknown {
  if (!isWeather(error) || count === 0) return error;
  const reason = `${count} ticks were in memory alone: ${error.message}`;
  return new EquipoiseError("EQ_TICKS_UNSTORED", reason, { cause: error });
}

export function aboutRange({ reason, fromSeq, toSeq, missing }: LostRange): Missing {
  return missing ?? { reason, count: reason === "crash" ? null : toSeq - fromSeq + 1, fromSeq, toSeq };
}
