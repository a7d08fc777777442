/** One scenario, one system, one seed. */
import { type Measures, measure } from "./measures.ts";
import type { Scenario } from "./scenario/scenario.ts";
import type { SystemChoice } from "./system/systems.ts";
import { World } from "./world/world.ts";

export function run(scenario: Scenario, { make }: SystemChoice, seed: number): Measures {
  const world = new World(scenario, seed, make);
  world.run();
  return measure(world);
}
