/** Lines for a terminal, broken between words; the terminal would break them anywhere. */

const usualColumns = 80;

/** Of the terminal; unbounded where standard output is none, for programs read whole lines. */
export const tableColumns = (): number => process.stdout.columns ?? Number.POSITIVE_INFINITY;

/** Of text that only people read. */
export const helpColumns = (): number => process.stdout.columns ?? usualColumns;

/**
 * The line in as many as it takes; a word that is longer than that stays whole.
 * @param hang how far those behind the first are indented
 */
export function folded(line: string, hang: number, columns: number): string[] {
  if (line.length <= columns) return [line];
  const [first = "", ...words] = line.slice(hang).split(" ");
  const lines: string[] = [];
  let current = line.slice(0, hang) + first;
  for (const word of words) {
    if (current.length + 1 + word.length <= columns) current += ` ${word}`;
    else {
      lines.push(current);
      current = " ".repeat(hang) + word;
    }
  }
  return [...lines, current];
}

/** A help text: what stands beside a flag stays in its column. */
export function foldedHelp(text: string, columns = helpColumns()): string {
  const lines = text.split("\n").flatMap((line) => {
    const [indent = ""] = /^ +(?:\S.*? {2,})?/.exec(line) ?? [];
    return folded(line, indent.length, columns);
  });
  return lines.join("\n");
}
