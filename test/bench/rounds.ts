/** Runs a scenario round by round, the subjects in turn within each, so that all see the same machine. */
import { type Spread, spreadOf } from "../support/spread.ts";
import type { Figures, Row, Scenario } from "./scenario/scenario.ts";
import type { SubjectName } from "./subject/subject.ts";

/** Each subject's figures of one round. */
export type Round = Partial<Record<SubjectName, Figures>>;

/** @param say told of every measurement as it is made */
export async function runRounds(
  scenario: Scenario,
  subjects: readonly SubjectName[],
  options: { profileDir?: string | undefined; rounds?: number; say: (line: string) => void },
): Promise<Round[]> {
  const rounds: Round[] = [];
  const count = options.rounds ?? scenario.rounds;
  for (let number = 1; number <= count; number++) {
    const round: Round = {};
    for (const subject of subjects) {
      const figures = await scenario.measure(subject, options);
      round[subject] = figures;
      const text = Object.entries(figures).map(([name, value]) => `${name} ${rounded(value)}`);
      options.say(`${scenario.name} ${number}/${count} ${subject}: ${text.join(", ")}`);
    }
    rounds.push(round);
  }
  return rounds;
}

/** A row's value over all rounds; `undefined` when what it compares with was not measured. */
export function spreadOfRow(row: Row, rounds: readonly Round[]): Spread | undefined {
  const values = rounds.flatMap((round) => {
    const own = round[row.subject]?.[row.figure];
    const other = row.ratio ? round.mosquitto?.[row.figure] : 1;
    return own === undefined || other === undefined ? [] : [own / other];
  });
  return values.length === 0 ? undefined : spreadOf(values);
}

/** Three figures are more than the noise leaves. */
export function rounded(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}
