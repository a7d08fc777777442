import { folded, type TickRecord, tableColumns } from "@equipoise/shared";
import type { BufferStatus, StreamStatus } from "../control/agent-control.ts";
import { answerCommand } from "./answer.ts";
import { count, size } from "./words.ts";

export const buffer = answerCommand<BufferStatus>({
  name: "buffer",
  summary: "what the running agent's buffer holds of each stream",
  path: "/buffer",
  describe,
});

function describe({ epoch, buffer: { ticks, bytes, lost }, streams }: BufferStatus): string {
  const head = `epoch ${epoch}: ${count(ticks)} ticks wait, ${size(bytes)} on disk, ${count(lost)} lost`;
  if (streams.length === 0) return `${head}\n  no streams\n`;
  const width = Math.max(...streams.map(({ venue, symbol }) => venue.length + symbol.length + 1));
  const rows = streams.flatMap((stream) => folded(row(stream, width), width + 4, tableColumns()));
  return `${[...folded(head, 2, tableColumns()), ...rows].join("\n")}\n`;
}

function row({ venue, symbol, oldest, newest }: StreamStatus, width: number): string {
  const name = `${venue}/${symbol}`.padEnd(width);
  if (oldest === null || newest === null) return `  ${name}  nothing kept`;
  const first = JSON.parse(oldest) as TickRecord;
  const last = JSON.parse(newest) as TickRecord;
  return `  ${name}  from ${count(first.seq)}${timeOf(first)} to ${count(last.seq)}${timeOf(last)}`;
}

function timeOf(record: TickRecord): string {
  return record.type === "trade" ? ` (${new Date(record.receivedTimeUs / 1_000).toISOString()})` : "";
}
