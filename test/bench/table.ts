/** The result as a Markdown table, with what was recorded before beside it. */

import type { Spread } from "../support/spread.ts";
import type { Recorded } from "./recorded.ts";
import { rounded } from "./rounds.ts";
import type { Row } from "./scenario/scenario.ts";
import type { Surroundings } from "./surroundings.ts";

/** A change for the worse beyond this share is marked. */
const regressionShare = 0.2;

export interface Measured {
  row: Row;
  spread: Spread | undefined;
}

export function table(measured: readonly Measured[], recorded: Recorded | undefined): string {
  const head = ["", "median", "min – max", "must", "aim", "recorded", ""];
  const lines = measured.map(({ row, spread }) => {
    const before = recorded?.rows[row.name];
    const { must, aim, unit } = row;
    return [
      row.text,
      spread === undefined ? "skipped" : withUnit(spread.median, unit),
      spread === undefined ? "" : `${rounded(spread.min)} – ${rounded(spread.max)}`,
      bound(row, must),
      bound(row, aim),
      before === undefined ? "" : withUnit(before.median, unit),
      [verdict(row, spread), change(row, spread, before)].filter((text) => text !== "").join("; "),
    ];
  });
  return align([head, ...lines]);
}

export function describe({ machine, date, node, mosquitto, fsyncMs, loadBefore }: Surroundings): string {
  const other = mosquitto === null ? "without mosquitto" : `mosquitto ${mosquitto}`;
  return `${date} · ${machine} · Node ${node} · ${other} · fsync ${fsyncMs} ms · load before ${loadBefore}`;
}

function withUnit(value: number, unit: string): string {
  return unit === "×" ? `${rounded(value)}×` : `${rounded(value)} ${unit}`.trim();
}

function bound({ better, unit }: Row, value: number | undefined): string {
  if (value === undefined) return "";
  return `${better === "more" ? "≥" : "≤"} ${withUnit(value, unit)}`;
}

function meets({ better }: Row, value: number, wanted: number): boolean {
  return better === "more" ? value >= wanted : value <= wanted;
}

function verdict(row: Row, spread: Spread | undefined): string {
  if (spread === undefined || row.must === undefined) return "";
  if (!meets(row, spread.median, row.must)) return "MISSED";
  return row.aim !== undefined && meets(row, spread.median, row.aim) ? "aim" : "must";
}

function change(row: Row, spread: Spread | undefined, before: Spread | undefined): string {
  if (spread === undefined || before === undefined || before.median === 0) return "";
  const share = spread.median / before.median - 1;
  const worse = row.better === "more" ? -share : share;
  return worse > regressionShare ? `WORSE by ${Math.round(worse * 100)} %` : "";
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(3, ...lines.map((line) => (line[column] ?? "").length)),
  );
  const texts = lines.map(
    (line) => `| ${widths.map((width, column) => (line[column] ?? "").padEnd(width)).join(" | ")} |`,
  );
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [texts[0], rule, ...texts.slice(1)].join("\n");
}
