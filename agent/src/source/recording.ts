/** Lines of a recording: `<local receive time, ns> <frame as the venue sent it>`. */
import { EquipoiseError } from "@equipoise/shared";

export interface RecordedFrame {
  /** When the recorder received the frame, microseconds since 1970. */
  recordedTimeUs: number;
  frame: string;
}

const shortestTime = 4;
const longestTime = 19;

/** @throws EquipoiseError EQ_SOURCE_BAD_RECORD when the line does not begin with a time */
export function splitRecording(line: string): RecordedFrame {
  const space = line.indexOf(" ");
  // Nanoseconds since 1970 are beyond the integers of a double; microseconds are not.
  const recordedTimeUs =
    space >= shortestTime && space <= longestTime ? Number(line.slice(0, space - 3)) : Number.NaN;
  if (!Number.isSafeInteger(recordedTimeUs) || recordedTimeUs < 0) {
    throw new EquipoiseError("EQ_SOURCE_BAD_RECORD", "the line does not begin with a time in ns and a space");
  }
  return { recordedTimeUs, frame: line.slice(space + 1) };
}
