/** What the broker's strategies must reach against the baselines: ratios of pairs that had the same seed. */

import { type Spread, spreadOf } from "../support/spread.ts";
import type { Measures } from "./measures.ts";
import { poolPrefix } from "./system/systems.ts";

/** Runs of each system in one scenario, in the order of the seeds. */
export type Runs = ReadonlyMap<string, readonly Measures[]>;

const texts = { meanMs: "mean", p99Ms: "p99" } as const;
type Figure = keyof typeof texts;

interface Goal {
  /** Scenarios that it is for; all without this. */
  scenarios?: readonly string[];
  references: readonly string[];
  figures: readonly Figure[];
  /** Largest ratio. */
  must: number;
  aim: number;
}

const leastInFlight = ["least-in-flight", `${poolPrefix}least_connections`];

/** For a pair and a figure the first one holds that names them. */
const goals: readonly Goal[] = [
  {
    scenarios: ["equal-0.8", "unequal-0.8", "unequal-fast"],
    references: ["weighted"],
    figures: ["meanMs", "p99Ms"],
    must: 0.7,
    aim: 0.55,
  },
  {
    scenarios: ["unequal-0.8", "unequal-fast", "slow-member"],
    references: leastInFlight,
    figures: ["p99Ms"],
    must: 0.9,
    aim: 0.8,
  },
  { references: leastInFlight, figures: ["meanMs", "p99Ms"], must: 1.05, aim: 1 },
];

/** Who loses so much more than the other is not compared with it by the latency of the rest. */
const lossApart = 0.001;

export type Result = "aim" | "must" | "MISSED" | "not compared";

export interface Verdict {
  scenario: string;
  system: string;
  reference: string;
  figure: string;
  ratio: Spread;
  must: number;
  aim: number;
  result: Result;
}

/** Judges every pool of a scenario against the references that were run with it. */
export function judge(scenario: string, runs: Runs): Verdict[] {
  const systems = [...runs.keys()];
  const pools = systems.filter((name) => name.startsWith(poolPrefix));
  return pools.flatMap((system) =>
    systems.flatMap((reference) => {
      const own = runs.get(system) ?? [];
      const other = runs.get(reference) ?? [];
      return reference === system ? [] : judgePair({ scenario, system, reference }, own, other);
    }),
  );
}

type Pair = Pick<Verdict, "scenario" | "system" | "reference">;

function judgePair(pair: Pair, own: readonly Measures[], other: readonly Measures[]): Verdict[] {
  const verdicts: Verdict[] = [];
  for (const figure of ["meanMs", "p99Ms"] as const) {
    const goal = goalOf(pair, figure);
    if (goal === undefined) continue;
    const { must, aim } = goal;
    const ratio = spreadOf(own.map((measures, seed) => measures[figure] / (other[seed] as Measures)[figure]));
    const result = resultOf(ratio.median, goal, lossOf(own) - lossOf(other));
    verdicts.push({ ...pair, figure: texts[figure], ratio, must, aim, result });
  }
  return verdicts;
}

function goalOf({ scenario, reference }: Pair, figure: Figure): Goal | undefined {
  return goals.find(
    ({ scenarios, references, figures }) =>
      scenarios?.includes(scenario) !== false && references.includes(reference) && figures.includes(figure),
  );
}

function resultOf(ratio: number, { must, aim }: Goal, lossMore: number): Result {
  if (lossMore < -lossApart) return "not compared";
  if (lossMore > lossApart || ratio > must) return "MISSED";
  return ratio > aim ? "must" : "aim";
}

/** Share of the messages that were given up. */
function lossOf(runs: readonly Measures[]): number {
  return spreadOf(runs.map(({ givenUp, messages }) => givenUp / messages)).median;
}
