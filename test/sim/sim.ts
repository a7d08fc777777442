/** `npm run sim`: see docs/simulator.md. */
import type { Measures } from "./measures.ts";
import { type Options, readOptions, usage } from "./options.ts";
import { run } from "./run.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { scenarioTable, summary } from "./table.ts";
import { judge, type Verdict } from "./verdict.ts";

const note = (line: string): void => void process.stderr.write(`${line}\n`);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function runScenario(scenario: Scenario, { systems, seeds }: Options): Map<string, Measures[]> {
  const beginMs = performance.now();
  const runs = new Map<string, Measures[]>();
  for (const system of systems) {
    runs.set(
      system.name,
      Array.from({ length: seeds }, (_, index) => run(scenario, system, index + 1)),
    );
  }
  note(`sim: ${scenario.name}, ${((performance.now() - beginMs) / 1_000).toFixed(1)} s`);
  return runs;
}

function runAll(options: Options): void {
  const verdicts: Verdict[] = [];
  const all: Record<string, Record<string, Measures[]>> = {};
  for (const scenario of options.scenarios) {
    const runs = runScenario(scenario, options);
    const judged = judge(scenario.name, runs);
    verdicts.push(...judged);
    all[scenario.name] = Object.fromEntries(runs);
    if (!options.json) say(scenarioTable(scenario, runs, judged));
  }
  say(options.json ? JSON.stringify({ seeds: options.seeds, scenarios: all, verdicts }) : summary(verdicts));
}

function optionsOrRefusal(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    note(`sim: ${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}

const options = optionsOrRefusal();
if (options.help) process.stdout.write(usage);
else runAll(options);
