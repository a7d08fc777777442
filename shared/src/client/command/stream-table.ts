/** The live table as text: pure, so that its look can be tested. */
import { styleText } from "node:util";
import type { Side } from "../../tick.ts";

export interface StreamRow {
  venue: string;
  symbol: string;
  agent: string;
  price: string;
  size: string;
  side: Side | "";
  seq: number;
  ticksPerS: number;
  latencyMs: number | undefined;
}

interface Column {
  title: string;
  right: boolean;
  cell: (row: StreamRow) => string;
  /** Columns with higher numbers go first when the terminal is narrow. */
  dispensable: number;
}

const columns: readonly Column[] = [
  { title: "venue", right: false, cell: ({ venue }) => venue, dispensable: 3 },
  { title: "symbol", right: false, cell: ({ symbol }) => symbol, dispensable: 0 },
  { title: "agent", right: false, cell: ({ agent }) => agent, dispensable: 6 },
  { title: "price", right: true, cell: ({ price }) => price, dispensable: 0 },
  { title: "size", right: true, cell: ({ size }) => size, dispensable: 2 },
  { title: "side", right: false, cell: ({ side }) => side, dispensable: 4 },
  { title: "seq", right: true, cell: ({ seq }) => String(seq), dispensable: 5 },
  { title: "ticks/s", right: true, cell: ({ ticksPerS }) => ticksPerS.toFixed(1), dispensable: 1 },
  { title: "latency", right: true, cell: ({ latencyMs }) => showDuration(latencyMs), dispensable: 1 },
];
const between = "  ";

/** Remembers widths, so that columns grow when they must but never jump back. */
export class StreamTable {
  readonly #widths = new Map<Column, number>();

  /** Lines that fit into `width` columns and `height` lines, the last of which says how many streams are not shown. */
  render(rows: readonly StreamRow[], width: number, height: number): string[] {
    const room = Math.max(1, height - 1);
    const shown = rows.length <= room ? rows : rows.slice(0, room - 1);
    for (const column of columns) this.#widen(column, shown);
    const fitting = this.#fitting(width);
    const title = fitting.map((column) => this.#pad(column, column.title)).join(between);
    const lines = shown.map((row) => this.#line(fitting, row, width));
    const hidden = rows.length - shown.length;
    const more = hidden === 0 ? [] : [styleText("dim", `… and ${hidden} more streams`.slice(0, width))];
    return [styleText("bold", title.slice(0, width)), ...lines, ...more];
  }

  #widen(column: Column, rows: readonly StreamRow[]): void {
    const needed = rows.map((row) => column.cell(row).length);
    this.#widths.set(column, Math.max(column.title.length, this.#widths.get(column) ?? 0, ...needed));
  }

  #fitting(width: number): Column[] {
    let chosen = [...columns];
    while (chosen.length > 2 && this.#total(chosen) > width) {
      const least = Math.max(...chosen.map(({ dispensable }) => dispensable));
      const index = chosen.findLastIndex(({ dispensable }) => dispensable === least);
      chosen = chosen.toSpliced(index, 1);
    }
    return chosen;
  }

  #total(chosen: readonly Column[]): number {
    const widths = chosen.map((column) => this.#widths.get(column) ?? 0);
    return widths.reduce((sum, each) => sum + each + between.length, -between.length);
  }

  #line(chosen: readonly Column[], row: StreamRow, width: number): string {
    const cells = chosen.map((column) => {
      const cell = this.#pad(column, column.cell(row));
      return column.title === "side" ? sideColour(row.side, cell) : cell;
    });
    const fits = this.#total(chosen) <= width;
    return fits ? cells.join(between) : cells.join(between).slice(0, width);
  }

  #pad(column: Column, cell: string): string {
    const width = this.#widths.get(column) ?? 0;
    return column.right ? cell.padStart(width) : cell.padEnd(width);
  }
}

function sideColour(side: StreamRow["side"], cell: string): string {
  if (side === "buy") return styleText("green", cell);
  return side === "sell" ? styleText("red", cell) : cell;
}

/** A duration for people, at most seven characters. */
export function showDuration(durationMs: number | undefined): string {
  if (durationMs === undefined) return "";
  const size = Math.abs(durationMs);
  if (size < 1_000) return `${Math.round(durationMs)} ms`;
  if (size < 100_000) return `${(durationMs / 1_000).toFixed(1)} s`;
  if (size < 6_000_000) return `${Math.round(durationMs / 60_000)} min`;
  if (size < 172_800_000) return `${Math.round(durationMs / 3_600_000)} h`;
  return `${Math.round(durationMs / 86_400_000)} d`;
}
