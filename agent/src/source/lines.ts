/** Lines out of chunks of bytes, in bounded memory. */
import { StringDecoder } from "node:string_decoder";

/** Stands for a line that was longer than allowed; its text is not kept. */
export const tooLong = Symbol("too long");
export type Line = string | typeof tooLong;

/**
 * The lines of each chunk together, so that a reader need not await for every line. A last line without an end counts;
 * carriage returns before line feeds are dropped; empty lines are kept, for line numbers.
 */
export async function* lineBatches(
  chunks: AsyncIterable<Uint8Array>,
  maxLineBytes: number,
): AsyncGenerator<Line[]> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let skipping = false;
  for await (const chunk of chunks) {
    const parts = (rest + decoder.write(chunk as Buffer)).split("\n");
    rest = parts.pop() ?? "";
    const lines = parts.map((part) => bounded(part, maxLineBytes));
    if (skipping && lines.length > 0) lines[0] = tooLong;
    if (lines.length > 0) skipping = false;
    if (skipping || rest.length > maxLineBytes) {
      skipping = true;
      rest = "";
    }
    if (lines.length > 0) yield lines;
  }
  rest += decoder.end();
  if (skipping) yield [tooLong];
  else if (rest !== "") yield [bounded(rest, maxLineBytes)];
}

function bounded(text: string, maxLineBytes: number): Line {
  const line = text.endsWith("\r") ? text.slice(0, -1) : text;
  // No UTF-16 unit takes more than three bytes: short lines need no counting.
  if (line.length * 3 <= maxLineBytes) return line;
  return Buffer.byteLength(line) > maxLineBytes ? tooLong : line;
}
