/** The results for people. */

import { spreadOf } from "../support/spread.ts";
import type { Measures } from "./measures.ts";
import type { Scenario } from "./scenario/scenario.ts";
import type { Result, Runs, Verdict } from "./verdict.ts";

interface Column {
  head: string;
  of: (measures: Measures) => number | null;
  digits: number;
  /** Left out where it is 0 in every row. */
  count?: true;
  /** With least and most over the seeds. */
  wide?: true;
}

const columns: readonly Column[] = [
  { head: "mean ms", of: ({ meanMs }) => meanMs, digits: 2, wide: true },
  { head: "p50", of: ({ p50Ms }) => p50Ms, digits: 2 },
  { head: "p99", of: ({ p99Ms }) => p99Ms, digits: 1, wide: true },
  { head: "p99.9", of: ({ p999Ms }) => p999Ms, digits: 1, wide: true },
  { head: "max", of: ({ maxMs }) => maxMs, digits: 0 },
  { head: "goodput/s", of: ({ goodputPerSecond }) => goodputPerSecond, digits: 0 },
  { head: "effic.", of: ({ efficiency }) => efficiency, digits: 2 },
  { head: "Jain", of: ({ jain }) => jain, digits: 2 },
  { head: "recovery ms", of: ({ recoveryMs }) => recoveryMs, digits: 0 },
  { head: "flaps", of: ({ flaps }) => flaps, digits: 0, count: true },
  { head: "twice", of: ({ duplicates }) => duplicates, digits: 0, count: true },
  { head: "rejected", of: ({ rejected }) => rejected, digits: 0, count: true },
  { head: "given up", of: ({ givenUp }) => givenUp, digits: 0, count: true },
  { head: "unfinished", of: ({ unfinished }) => unfinished, digits: 0, count: true },
];

/** One scenario: a row for each system, then what its ratios had to be. */
export function scenarioTable({ name, text }: Scenario, runs: Runs, verdicts: readonly Verdict[]): string {
  const shown = columns.filter((column) => isShown(column, [...runs.values()].flat()));
  const rows = Array.from(runs, ([system, measures]) => [
    system,
    ...shown.map((column) => cell(column, measures)),
  ]);
  const table = align([["", ...shown.map(({ head }) => head)], ...rows]);
  return [`${name}: ${text}`, table, ...verdictLines(verdicts), ""].join("\n");
}

/** How many ratios each system has met, and which not. */
export function summary(verdicts: readonly Verdict[]): string {
  const bySystem = Map.groupBy(verdicts, ({ system }) => system);
  return Array.from(bySystem, ([system, own]) => {
    const count = (wanted: Result) => own.filter(({ result }) => result === wanted).length;
    const missed = own.filter(({ result }) => result === "MISSED");
    const lines = missed.map(
      (verdict) => `  ${verdict.scenario}: against ${verdict.reference} ${ratioText(verdict)}`,
    );
    return [
      `${system}: aim ${count("aim")}, must ${count("must")}, MISSED ${count("MISSED")}`,
      ...lines,
    ].join("\n");
  }).join("\n");
}

/** One line for each pair. */
function verdictLines(verdicts: readonly Verdict[]): string[] {
  const pairs = Map.groupBy(verdicts, ({ system, reference }) => `${system} against ${reference}`);
  return Array.from(pairs, ([pair, own]) => `  ${pair}: ${own.map(ratioText).join(" · ")}`);
}

function ratioText({ figure, ratio: { median, min, max }, must, aim, result }: Verdict): string {
  const spread = `${median.toFixed(3)} (${min.toFixed(3)}–${max.toFixed(3)})`;
  return `${figure} × ${spread} ≤ ${must} (aim ${aim}) ${result}`;
}

function isShown({ of, count }: Column, runs: readonly Measures[]): boolean {
  return runs.map(of).some((value) => value !== null && (value !== 0 || count === undefined));
}

function cell({ of, digits, wide }: Column, runs: readonly Measures[]): string {
  const values = runs.map(of).filter((value) => value !== null);
  if (values.length === 0) return "";
  const { median, min, max } = spreadOf(values);
  const show = (value: number) => value.toFixed(value >= 1_000 ? 0 : digits);
  return wide ? `${show(median)} (${show(min)}–${show(max)})` : show(median);
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, at) => Math.max(...lines.map((line) => (line[at] ?? "").length)));
  const texts = lines.map((line) =>
    line
      .map((text, at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  return texts.join("\n");
}
