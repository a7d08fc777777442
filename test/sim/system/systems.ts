/** All systems by name: every strategy of the broker's pool, and what it is compared with. */
import { strategyNames } from "../../../broker/src/strategy/index.ts";
import { PoolSystem } from "../pool-system.ts";
import { LeastInFlightChooser } from "./chooser/least-in-flight.ts";
import { PeakEwmaChooser } from "./chooser/peak-ewma.ts";
import { RandomChooser } from "./chooser/random.ts";
import { RoundRobinChooser } from "./chooser/round-robin.ts";
import { WeightedChooser } from "./chooser/weighted.ts";
import { ClairvoyantSystem } from "./clairvoyant-system.ts";
import { type Chooser, PushedSystem } from "./pushed-system.ts";
import type { System, SystemSurroundings } from "./system.ts";

export interface SystemChoice {
  name: string;
  make: (surroundings: SystemSurroundings) => System;
}

export const poolPrefix = "pool/";

const pooled = strategyNames.map((strategy) => ({
  name: `${poolPrefix}${strategy}`,
  make: (surroundings: SystemSurroundings) => new PoolSystem(strategy, surroundings),
}));

function pushed(name: string, choose: (surroundings: SystemSurroundings) => Chooser): SystemChoice {
  return { name, make: (surroundings) => new PushedSystem(choose(surroundings), surroundings) };
}

export const systems: readonly SystemChoice[] = [
  ...pooled,
  pushed("round-robin", () => new RoundRobinChooser()),
  pushed("random", ({ random }) => new RandomChooser(random)),
  pushed("weighted", () => new WeightedChooser()),
  pushed("least-in-flight", ({ random }) => new LeastInFlightChooser(random)),
  pushed("peak-ewma", ({ random, timeline }) => new PeakEwmaChooser(random, timeline)),
  { name: "clairvoyant", make: (surroundings) => new ClairvoyantSystem(surroundings) },
];
